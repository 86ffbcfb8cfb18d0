"""Routes: which of several agents answers a message."""

from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.gate import Gate
from support.stage import Vault, obey, stage

from gateway import Agent, Route, SettingError


def named(name: str) -> Agent:
    async def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        assert isinstance(last, UserPromptPart)
        return ModelResponse([TextPart(f"{name}: {last.content}")])

    return Agent(model=FunctionModel(answer), name=name)


async def test_the_most_specific_route_comes_first(tmp_path: Path) -> None:
    routes = [
        Route(named("channel"), channel="stage"),
        Route(named("workspace"), workspace="T2"),
        Route(named("command"), command="/mail"),
        Route(named("both"), command="mail", workspace="T3"),
        Route(named("elsewhere"), channel="slack", command="help-me"),
    ]
    scene = stage(tmp_path, agent=named("default"), routes=routes)
    async with scene.open():
        assert await scene.ask("alice", "hello") == "channel: hello"
        assert await scene.ask("alice", "hello", tenant="T2") == "workspace: hello"
        assert await scene.ask("alice", "/mail what is new", tenant="T2") == "command: what is new"
        assert await scene.ask("alice", "/MAIL@bot what\nis new", tenant="T3") == "both: what\nis new"
        assert await scene.ask("alice", "/mails what", tenant="T4") == "channel: /mails what"
        assert await scene.ask("alice", "/help-me now") == "channel: /help-me now"
        assert await scene.ask("alice", "/mail") == "Hello, I am command. Just write to me."


async def test_the_default_agent_answers_messages_that_fit_no_route(tmp_path: Path) -> None:
    scene = stage(tmp_path, agent=named("default"), routes=[Route(named("other"), channel="slack")])
    async with scene.open():
        assert await scene.ask("alice", "hello") == "default: hello"


async def test_the_accounts_of_a_routed_agent_can_be_connected(tmp_path: Path, vault: Vault) -> None:
    routed = Agent(model=FunctionModel(obey), toolkits=[vault])
    scene = stage(tmp_path, agent=named("default"), routes=[Route(routed, command="vault")])
    async with scene.open():
        await scene.write("alice", "/vault call open_vault")
        await scene.connect((await scene.wait_for(1))[0].link, "alice")
        assert (await scene.wait_for(2))[1].text == "SECRET-alice"


async def test_only_messages_for_the_same_agent_are_collected(tmp_path: Path) -> None:
    gate = Gate()
    mail = Agent(model=FunctionModel(gate.model), name="mail", when_busy="collect")
    other = Agent(model=FunctionModel(gate.model), name="other", when_busy="collect")
    scene = stage(tmp_path, agent=other, routes=[Route(mail, command="mail")])
    async with scene.open():
        await scene.write("alice", "one")
        await gate.holds(1)
        await scene.write("alice", "two")
        await scene.write("alice", "/mail three")
        await scene.write("alice", "/mail four")
        gate.opened.set()
        sent = [sent.text for sent in await scene.wait_for(3)]
    assert sent == ["answer to one", "answer to two", "answer to three\n\nfour"]


@pytest.mark.parametrize(("command", "reason"), [("/New", "answers itself"), ("two words", "letters"), ("", "letters")])
def test_an_impossible_command_is_refused(command: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        Route(named("one"), command=command)


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="does not know session_token:"):
        stage(tmp_path, settings={"session_token": 500})


def test_two_routes_for_the_same_messages_are_refused(tmp_path: Path) -> None:
    one, two = named("one"), named("two")
    routes = [
        Route(one, channel="slack", command="/Mail"),
        Route(one, channel="slack", command="other"),
        Route(two, command="mail", channel="slack"),
    ]
    with pytest.raises(SettingError, match="Two routes are for the same messages: command 'mail', channel 'slack'"):
        stage(tmp_path, agent=one, routes=routes)
    with pytest.raises(SettingError, match="for the same messages: everything"):
        stage(tmp_path, agent=one, routes=[Route(one), Route(two)])
