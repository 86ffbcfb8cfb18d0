"""`understudy config …`: gateways that are YAML files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.options import AsJson, ConfigFile
from gateway.cli.terminal import print_json, say, say_loading
from oauth.errors import SettingError
from oauth.settings import each_error

# The rest is imported where it is used, because the import takes a second.
if TYPE_CHECKING:
    from gateway.configuration.reading import Document, Place

app = typer.Typer(no_args_is_help=True, help="Check and show gateways that are YAML files.")

MASK = "***"
SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL")

# An address, alone or inside a text: https://www.rfc-editor.org/rfc/rfc3986#appendix-B
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)((?P<credentials>[^/?#\s]*)@)?(?P<rest>[^?#\s]*)(?P<query>[?#]\S*)?")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file, in a sentence that begins with its place."""

    text: str


@app.command()
def check(path: ConfigFile, as_json: AsJson = False) -> None:
    """Check a file: list every mistake in it, with its line and column.

    The exit status is 1 if there are mistakes.
    """
    say_loading(str(path))
    from gateway.configuration.building import load

    try:
        gateway = load(path)
    except SettingError as error:
        if as_json:
            print_json([Mistake(str(each)) for each in each_error([error])])
        else:
            say(str(error))
        raise typer.Exit(ExitCode.PROBLEM) from None
    agents = ", ".join(agent.name for agent in gateway.agents)
    channels = ", ".join(gateway.interfaces)
    say(f"{path} is valid. Agents that answer: {agents}. Channels: {channels}.")


@app.command()
def show(path: ConfigFile) -> None:
    """Print a file as the gateway reads it, with secrets and values from the environment masked."""
    import yaml

    from gateway.configuration.parsing import parse

    document, config = parse(path)
    document.check()
    shown = _masked(document, config.model_dump(mode="json", exclude_unset=True), ())
    typer.echo(str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)).rstrip())


@app.command()
def schema() -> None:
    """Print the JSON Schema of such a file, for editors."""
    from gateway.configuration.schema import GatewayConfig

    typer.echo(json.dumps(GatewayConfig.model_json_schema(), indent=2))


def _masked(document: "Document", value: Any, place: "Place") -> Any:
    if place in document.expanded:
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked(document, item, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(document, item, (*place, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    name = next((part for part in reversed(place) if isinstance(part, str)), "")
    if {"headers", "env"}.intersection(place) or any(word in name.upper() for word in SECRET_WORDS):
        return MASK
    return _URL.sub(_without_credentials, str(value))


def _without_credentials(url: re.Match[str]) -> str:
    user, colon, _ = (url["credentials"] or "").rpartition(":")
    credentials = f"{user}{colon}{MASK}@" if url["credentials"] else ""
    return f"{url['scheme']}{credentials}{url['rest']}{url['query'][0] + MASK if url['query'] else ''}"
