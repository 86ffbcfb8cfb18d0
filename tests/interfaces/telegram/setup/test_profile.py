"""The bot's commands and descriptions are registered at the start, and what its operator has set stays."""

import pytest
from peers.telegram.server import TelegramServer
from peers.wait import wait_until_async
from support.channels.running import Run
from support.stage import Vault
from telegram import Bot, BotCommand, BotCommandScopeAllGroupChats, BotCommandScopeAllPrivateChats

from gateway import Agent, Route
from gateway.channels.commands import COMMANDS
from interfaces.telegram import Telegram
from interfaces.telegram.setup.profile import describe_bot, register_commands

PRIVATE, GROUPS = "all_private_chats", "all_group_chats"
OWN = ("help", "new", "stop")


@pytest.fixture
def client(telegram: TelegramServer) -> Bot:
    return Bot(telegram.token, telegram.base_url, telegram.base_file_url)


def registered(telegram: TelegramServer, scope: str) -> list[str]:
    """Return the names of the commands for people of all languages in a scope."""
    return [each["command"] for each in telegram.api.commands.get((scope, ""), [])]


async def is_set_up(telegram: TelegramServer) -> None:
    """Wait for the last call of the setup."""
    await wait_until_async(lambda: telegram.called("getWebhookInfo"), what="the bot is set up")


async def test_a_start_registers_the_commands_of_private_chats_and_groups(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    mail = Agent(model="test", name="Mia", description="I read mail.")
    routes = [Route(mail, command="/mail"), Route(Agent(model="test", name="Tim"), command="no-menu")]
    async with run(bot, [Vault()], routes=routes):
        await is_set_up(telegram)
        assert registered(telegram, PRIVATE) == [*OWN, "accounts", "disconnect", "mail"]
        assert registered(telegram, GROUPS) == [*OWN, "mail"]
        assert telegram.api.commands[GROUPS, ""][-1]["description"] == "I read mail."
        assert registered(telegram, "default") == []


async def test_commands_about_accounts_are_left_out_if_no_agent_needs_an_account(
    run: Run, bot: Telegram, telegram: TelegramServer
) -> None:
    async with run(bot):
        await is_set_up(telegram)
        assert registered(telegram, PRIVATE) == list(OWN)


async def test_a_second_start_changes_nothing(client: Bot, telegram: TelegramServer) -> None:
    for _ in range(2):
        await register_commands(client, COMMANDS)
        await describe_bot(client, "I help.")
    changes = [call.method for call in telegram.calls if not call.method.startswith("get")]
    assert changes == ["setMyCommands", "setMyCommands", "setMyDescription", "setMyShortDescription"]


async def test_a_start_replaces_the_commands_of_an_earlier_one(client: Bot, telegram: TelegramServer) -> None:
    await register_commands(client, COMMANDS | {"mail": "I read mail."})
    await register_commands(client, COMMANDS)
    assert "mail" not in registered(telegram, PRIVATE)


async def test_commands_that_the_operator_has_set_for_a_scope_stay(client: Bot, telegram: TelegramServer) -> None:
    await client.set_my_commands([BotCommand("order", "Order a pizza")], BotCommandScopeAllGroupChats())
    await register_commands(client, COMMANDS)
    assert registered(telegram, GROUPS) == ["order"]
    assert registered(telegram, PRIVATE) == [*OWN, "accounts", "disconnect"]


async def test_commands_that_the_operator_has_set_with_botfather_are_not_hidden(
    client: Bot, telegram: TelegramServer
) -> None:
    await register_commands(client, COMMANDS)
    await client.set_my_commands([BotCommand("order", "Order a pizza"), BotCommand("help", "See the menu")])
    await register_commands(client, COMMANDS)
    assert telegram.api.commands.keys() == {("default", "")}
    assert list(await client.get_my_commands(BotCommandScopeAllPrivateChats())) == []


async def test_descriptions_are_set_only_where_there_are_none(client: Bot, telegram: TelegramServer) -> None:
    await client.set_my_short_description("Pizza, fast")
    await describe_bot(client, "")
    assert telegram.called("getMyDescription") == []
    await describe_bot(client, "I order pizza. " * 50)
    assert telegram.api.descriptions["short_description"] == "Pizza, fast"
    assert len(telegram.api.descriptions["description"]) == 512


async def test_a_start_does_not_wait_for_the_setup_and_survives_its_failure(
    run: Run, bot: Telegram, telegram: TelegramServer, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fail("getMyCommands", 502)
    async with run(bot):
        await wait_until_async(lambda: "the bot could not be set up" in caplog.text, what="the warning")
        assert bot.host.takes_events
