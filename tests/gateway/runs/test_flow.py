"""Flows: what they return, and how they call one another."""

import pytest
from support.agents.reading import ReadingAgents, reader, texts

from gateway import Agent, Conversation, Identity, Message, Runner, Session


async def test_a_flow_calls_another_flow(reads: ReadingAgents) -> None:
    one = reads.agent("one")

    async def inner(message: Message) -> str:
        await one("aside")
        return await one(message)

    helper = Agent(inner, name="helper")

    async def outer(message: Message) -> str:
        return f"{await helper('x')} and {await one('y')}"

    session = Session()
    assert await Runner(outer, session=session).run("go") == "one(x) and one(y)"
    assert texts(session.items)[1:6] == ["aside", "one(aside)", "x", "one(x)", "y"]


async def test_a_flow_that_returns_a_call_it_did_not_await_says_so() -> None:
    one = reader()

    async def flow(message: Message) -> object:
        return one(message)

    with pytest.raises(TypeError, match=r"<call of the agent 'one'> that it had not awaited: write `return await …`"):
        await Runner(flow).run("x")


def test_a_message_in_an_f_string_is_only_its_text() -> None:
    who = Identity("slack", "T1", "U1")
    message = Message(
        id="1", text="hello", sender=who, sender_name="Ada", conversation=Conversation("slack", "T1", "C1", shared=True)
    )
    assert f"Answer this: {message}" == "Answer this: hello"
    assert "U1" in repr(message)
