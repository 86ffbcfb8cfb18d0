"""Which texts are commands, and which are sentences that begin like one."""

import pytest

from gateway.channels.commands import Command, command_in, parse_command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", Command("help", "")),
        (" /Help\n", Command("help", "")),
        ("/mail  to Bob\nand Carol", Command("mail", "to Bob\nand Carol")),
        ("/my-mail", Command("my-mail", "")),
        ("/help@our_bot now", Command("help", "now", bot="our_bot")),
        ("/help!", None),
        ("/", None),
        ("help", None),
        ("// help", None),
    ],
)
def test_a_command_is_a_slash_a_name_and_what_follows(text: str, command: Command | None) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/disconnect Google", ("disconnect", "Google")),
        ("/START ticket", ("start", "ticket")),
        ("/mail", (None, "")),
        ("/help@our_bot", (None, "")),
        ("accounts", (None, "")),
    ],
)
def test_the_gateway_answers_only_its_own_commands(text: str, command: tuple[str | None, str]) -> None:
    assert command_in(text) == command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("New", ("new", "")),
        ("accounts", ("accounts", "")),
        ("disconnect google", ("disconnect", "google")),
        ("/new", ("new", "")),
        ("Stop", ("stop", "")),
        ("new ideas", (None, "")),
        ("stop sending me mail", (None, "")),
        ("disconnect my old phone", (None, "")),
        ("help", (None, "")),
        ("start", (None, "")),
    ],
)
def test_without_a_slash_a_sentence_is_no_command(text: str, command: tuple[str | None, str]) -> None:
    assert command_in(text, plain=True) == command
