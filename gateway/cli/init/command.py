"""`understudy init`: write the files of a new bot."""

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.environment import FILE as SETTINGS
from gateway.cli.environment import add_settings
from gateway.cli.init.files import ACCESS, MODEL, code_of, settings_of, slack_manifest
from gateway.cli.init.plan import Choices
from gateway.cli.slack import CHANNEL as SLACK
from gateway.cli.slack import NEW_APP
from gateway.cli.terminal import console, say
from oauth import SettingError

MANIFEST = "slack-manifest.json"


def init(
    channel: Annotated[str | None, typer.Option(help="The channel, for example slack.")] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The public address, for example https://bot.example.com. Without one, Slack's requests come over "
            "Socket Mode, and Telegram is polled."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The provider and the model, for example openai:gpt-5.2.")] = None,
    toolkit: Annotated[
        list[str] | None, typer.Option(help="A toolkit, for example gmail. It can be given several times.")
    ] = None,
    file: Annotated[Path, typer.Option(help="The file to write: Python, or YAML if it ends in .yaml.")] = Path(
        "agent.py"
    ),
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: use the defaults for what is not given.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the files that are there, but .env.")] = False,
) -> None:
    """Write the files of a new bot: its agent, its settings in .env and, for Slack, the manifest of the app.

    Settings that .env has are kept. Nothing is written before all questions are answered.
    """
    given = " ".join(toolkit) if toolkit is not None else None
    _check_free(file, force=force, asks=not yes)
    plan = Choices(channel, address, model, given, file, not yes, os.environ.get(MODEL)).plan()
    manifest = plan.file.with_name(MANIFEST) if plan.channel == SLACK else None
    if manifest is not None:
        _check_free(manifest, force=force, asks=not yes)
    code = code_of(plan)
    texts = {plan.file: code}
    with console.status("Looking for the settings…"):  # only in a terminal
        settings, obstacles = settings_of(plan, code)
        if manifest is not None:
            texts[manifest] = slack_manifest(plan, code)
    empty = add_settings(settings)
    for path, text in texts.items():
        _write(path, text)
    say("Next:")
    for obstacle in obstacles:
        say(f"  {obstacle}")
    if manifest is not None:
        say(f"  Create the app: open {NEW_APP}, choose “From a manifest”, and paste {manifest}. Then install the app.")
    if empty:
        say(f"  Fill in {SETTINGS}, which says where each value comes from: {', '.join(empty)}.")
    say(f"  Run `understudy doctor {plan.file}` to check everything, and `understudy serve {plan.file}` to start.")
    if any(each.name.endswith(ACCESS.upper()) for each in settings):
        say("  Then write to the bot. It answers with a code: run `understudy access approve CODE` to admit yourself.")


def _check_free(path: Path, *, force: bool, asks: bool) -> None:
    if not path.exists() or force:
        return
    if not (asks and typer.confirm(f"{path} exists. Overwrite it?", err=True)):
        raise SettingError(f"{path} exists: name a file elsewhere with --file, or overwrite it with --force.")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}.") from None
    say(f"Wrote {path}.")
