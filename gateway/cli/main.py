"""One agent behind Slack, Telegram and WhatsApp, with a fresh copy of it for every message."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.cli.environment import FILE, load_environment
from gateway.cli.exit_codes import ExitCode
from gateway.cli.lazy import lazy_group
from gateway.cli.terminal import console
from oauth.errors import SettingError, UnderstudyError

# The path of each command, and the first paragraph of its help, in the order of the help.
COMMANDS = {
    "dev": (
        "gateway.cli.dev.command:dev",
        "Chat with an agent on this machine, in windows of several people. The demonstration agent needs no account.",
    ),
    "init": (
        "gateway.cli.init.command:init",
        "Write the files of a new bot: its agent, its settings in .env and, for Slack, the manifest of the app.",
    ),
    "serve": (
        "gateway.cli.serve:serve",
        "Serve a gateway: accept the messages of its channels and, on SQLite, answer them.",
    ),
    "worker": (
        "gateway.cli.serve:worker",
        "Answer the messages that `understudy serve` accepts. Workers need PostgreSQL; any number may run, on any "
        "host.",
    ),
    "check": (
        "gateway.cli.check:check",
        "Look for leaks between people: call every tool, with made-up arguments and without a network.",
    ),
    "doctor": (
        "gateway.cli.doctor:doctor",
        "Look for everything that is wrong with a set-up, and say what to do. Nothing is changed.",
    ),
    "send": (
        "gateway.cli.serve:send",
        "Send a message to a conversation, now or later. A running gateway or worker delivers it.",
    ),
    "audit": (
        "gateway.cli.records.audit:audit",
        "List the tool calls, oldest first: who asked, and as which account the tool acted.",
    ),
    "status": (
        "gateway.cli.records.status:status",
        "Show what comes in and is refused, what runs and waits, and which processes are alive.",
    ),
    "messages": (
        "gateway.cli.records.messages:messages",
        "List people's messages and what became of them, oldest first. `understudy show` tells more about one.",
    ),
    "show": (
        "gateway.cli.records.messages:show",
        "Show the life of one message as a timeline: turns, tools, sign-ins, questions, deliveries.",
    ),
    "feedback": (
        "gateway.cli.records.people:feedback",
        "List people's ratings of answers, newest first. `understudy audit --reference` lists an answer's tool calls.",
    ),
    "config": (
        "gateway.cli.config:app",
        "Check and show gateways that are YAML files.",
    ),
    "keys": (
        "gateway.cli.records.keys:app",
        "Make and rotate the keys that encrypt stored tokens.",
    ),
    "slack": (
        "gateway.cli.slack:app",
        "Create the app of a gateway at Slack.",
    ),
    "db": (
        "gateway.cli.records.database:app",
        "Create, upgrade or copy the database.",
    ),
    "turns": (
        "gateway.cli.records.turns:app",
        "List or stop turns that have not ended.",
    ),
    "deadletters": (
        "gateway.cli.records.dead_letters:app",
        "List, retry or drop messages and deliveries that failed for good.",
    ),
    "sessions": (
        "gateway.cli.records.sessions:app",
        "Export the histories of conversations.",
    ),
    "access": (
        "gateway.cli.records.access:app",
        "Say who may use a channel whose access is allowlist or pairing.",
    ),
    "accounts": (
        "gateway.cli.records.people:accounts",
        "List, suspend and disconnect the accounts that people have connected.",
    ),
    "person": (
        "gateway.cli.records.people:person",
        "Export or erase everything that is stored about one person.",
    ),
}

app = typer.Typer(cls=lazy_group(COMMANDS), no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"understudy {version('understudy')}")
        raise typer.Exit


@app.callback(help=__doc__)
def _take_options(
    print_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options of all commands."""


def main() -> None:
    """Run the command `understudy`, with the settings in `.env`.

    For an error that an operator can correct, print only the message: see `ExitCode`.
    """
    try:
        load_environment()
        app()
    except SettingError as error:
        from oauth.settings import each_error, setting_of  # imported here, because the import takes a moment

        is_missing = any(setting is not None and setting.is_missing for setting in map(setting_of, each_error([error])))
        more = f"\nSet what is missing in the environment or in {FILE}." if is_missing else ""
        _fail(f"{error}{more}", ExitCode.USAGE)
    except UnderstudyError as error:
        from gateway.logs import describe  # imported here for the same reason
        from toolkits import CloneError

        if isinstance(error, CloneError):
            _fail(str(error), ExitCode.USAGE)
        _fail(describe(error), ExitCode.PROBLEM)
    except ImportError as error:
        from gateway.configuration.shadowing import explain  # imported here for the same reason

        if (explained := explain(error, Path())) is None:
            raise
        _fail(explained, ExitCode.USAGE)


def _fail(message: str, code: ExitCode) -> NoReturn:
    console.print(f"understudy: {message}", style="red", markup=False, soft_wrap=True)
    sys.exit(code)
