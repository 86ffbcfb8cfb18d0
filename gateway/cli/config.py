"""`understudy config …`: gateways that are YAML files."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from gateway.cli.options import ConfigFile
from gateway.cli.terminal import say

# The rest is imported where it is used, because the import takes a second.
if TYPE_CHECKING:
    from gateway.configuration.reading import Document, Place

app = typer.Typer(no_args_is_help=True, help="Check and show gateways that are YAML files.")

MASK = "***"
SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL")

# An address, alone or inside a text: https://www.rfc-editor.org/rfc/rfc3986#appendix-B
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)((?P<credentials>[^/?#\s]*)@)?(?P<rest>[^?#\s]*)(?P<query>[?#]\S*)?")


@app.command()
def check(path: ConfigFile) -> None:
    """Check a file: list every mistake in it, with its line and column."""
    from gateway.configuration.building import load

    gateway = load(path)
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
