"""Slash commands, and mentions that replace them in threads."""

from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from peers.emulate.server import Emulate
from peers.webhooks import slack_events as events
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.running import Run, Running
from support.channels.slack import BOT, dm, post, said

from gateway import (
    Agent,
    Route,
)
from interfaces.slack import Slack


async def post_command(running: Running, form: dict[str, str], **signing: Any) -> httpx.Response:
    body = urlencode(form).encode()
    headers = events.headers(body, content_type="application/x-www-form-urlencoded", **signing)
    return await running.client.post("/slack/commands", content=body, headers=headers)


@pytest.mark.parametrize(("command", "text"), [("/accounts", ""), ("/bot", "accounts")])
async def test_a_slash_command_is_answered_in_a_direct_message_once(
    run: Run, slack: Slack, emulate: Emulate, command: str, text: str
) -> None:
    async with run(slack) as running:
        form = events.slash_command(command, text)
        answer = await post_command(running, form)
        assert answer.json() == {"response_type": "ephemeral", "text": "I will answer you in a direct message."}
        await post_command(running, form)
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]
        assert len(running.inbox()) == 1
        assert running.prompts == []


async def test_a_slash_command_applies_to_the_direct_conversation(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        direct = emulate.slack_dm("alice")
        await post(running, dm(emulate, "apples"))
        await said(emulate, direct, 1)
        await post_command(running, events.slash_command("/bot", "what was that"))
        await said(emulate, direct, 2)
        assert "apples" in str(running.told[1])
        await post_command(running, events.slash_command("/new"))
        assert "new conversation" in (await said(emulate, direct, 3))[2]
        await post(running, dm(emulate, "pears"))
        await said(emulate, direct, 4)
        assert running.prompts == ["apples", "/bot what was that", "pears"]
        assert "apples" not in str(running.told[2])


async def test_an_operators_slash_command_is_for_its_agent(run: Run, slack: Slack, emulate: Emulate) -> None:
    def echo(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        return ModelResponse([TextPart(f"mail: {messages[-1].parts[-1].content}")])

    mail = Agent(model=FunctionModel(echo), name="mail", description="I read mail.")
    async with run(slack, routes=[Route(mail, command="mail")]) as running:
        await post_command(running, events.slash_command("/Mail", "what is\nnew"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["mail: what is\nnew"]
        await post_command(running, events.slash_command("/mail"))
        assert "I read mail." in (await said(emulate, emulate.slack_dm("alice"), 2))[1]
        assert running.prompts == []


async def test_a_slash_command_is_refused_if_its_direct_conversation_cannot_be_opened(
    run: Run, slack: Slack, emulate: Emulate
) -> None:
    emulate.slack.fail("/api/conversations.open", 503)
    async with run(slack) as running:
        answer = await post_command(running, events.slash_command("/mail", "what is new"))
        assert "Please try again" in answer.json()["text"]
        assert running.inbox() == []


async def test_a_slash_command_that_slack_did_not_sign_leaves_no_trace(run: Run, slack: Slack) -> None:
    async with run(slack) as running:
        form = events.slash_command("/disconnect")
        assert (await post_command(running, form, secret="another")).status_code == 401
        assert (await post_command(running, form, age=events.STALE)).status_code == 401
        assert (await post_command(running, {"command": "/disconnect"})).status_code == 400
        assert (await post_command(running, {"ssl_check": "1"})).status_code == 200
        assert running.inbox() == []


@pytest.mark.parametrize("text", ["accounts", "Accounts", "/accounts"])
async def test_in_a_thread_a_command_is_a_mention_and_only_its_person_gets_the_answer(
    run: Run, slack: Slack, emulate: Emulate, text: str
) -> None:
    async with run(slack, private_answers="open") as running:
        channel = emulate.slack_channel_id
        thread = emulate.slack_post("alice", channel, f"{BOT} {text}")
        await post(running, events.app_mention(f"{BOT} {text}", channel=channel, ts=thread))
        assert "no account" in (await said(emulate, emulate.slack_dm("alice"), 1))[0]
        assert not any("no account" in text for text in emulate.slack_said(channel, thread))
        assert running.prompts == []


async def test_in_a_thread_a_new_conversation_is_a_mention(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        channel, thread = emulate.slack_channel_id, None
        for number, text in enumerate(("apples", "new", "pears", "new apples"), 1):
            ts = emulate.slack_post("alice", channel, f"{BOT} {text}", thread)
            fields = {"thread_ts": thread} if thread else {}
            thread = thread or ts
            await post(running, events.app_mention(f"{BOT} {text}", channel=channel, ts=ts, **fields))
            await said(emulate, channel, number, thread)
        assert running.prompts == ["apples", "pears", "new apples"]
        assert [len(messages) for messages in running.told] == [1, 1, 3]


async def test_a_sentence_about_accounts_is_not_a_command(run: Run, slack: Slack, emulate: Emulate) -> None:
    async with run(slack) as running:
        await post(running, dm(emulate, "accounts are due today"))
        assert await said(emulate, emulate.slack_dm("alice"), 1) == ["heard"]
