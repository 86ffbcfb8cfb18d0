"""One agent behind Slack, Telegram and WhatsApp, with a fresh copy of it for every message."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.cli import config, database, keys, slack
from gateway.cli.check import check
from gateway.cli.dev import dev
from gateway.cli.doctor import doctor
from gateway.cli.environment import FILE, load_environment
from gateway.cli.init.command import init
from gateway.cli.records import access, dead_letters, people, sessions, turns
from gateway.cli.records.audit import audit
from gateway.cli.records.messages import messages, show
from gateway.cli.serve import send, serve, worker
from gateway.cli.terminal import console
from oauth import SettingError
from oauth.settings import each_error, setting_of
from toolkits import CloneError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(dev)
app.command()(init)
app.command()(serve)
app.command()(worker)
app.command()(check)
app.command()(doctor)
app.command()(send)
app.command()(audit)
app.command()(messages)
app.command()(show)
app.command()(people.feedback)
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")
app.add_typer(slack.app, name="slack")
app.add_typer(database.app, name="db")
app.add_typer(turns.app, name="turns")
app.add_typer(dead_letters.app, name="deadletters")
app.add_typer(sessions.app, name="sessions")
app.add_typer(access.app, name="access")
app.add_typer(people.accounts, name="accounts")
app.add_typer(people.person, name="person")


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

    For an operator's mistake, print only the message, and exit with status 2.
    """
    try:
        load_environment()
        app()
    except (SettingError, CloneError) as error:
        is_missing = any(setting is not None and setting.is_missing for setting in map(setting_of, each_error([error])))
        _fail(f"{error}\nSet what is missing in the environment or in {FILE}." if is_missing else str(error))
    except ImportError as error:
        from gateway.configuration.shadowing import explain  # imported here, because the import takes a moment

        if (explained := explain(error, Path())) is None:
            raise
        _fail(explained)


def _fail(message: str) -> NoReturn:
    console.print(f"understudy: {message}", style="red", markup=False, soft_wrap=True)
    sys.exit(2)
