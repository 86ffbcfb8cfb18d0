"""`understudy config …`, on an operator's terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from gateway.configuration.building import load, parse
from gateway.configuration.reading import SECRET_WORDS, Document, Place
from gateway.configuration.schema import GatewayConfig

MASK = "***"


def schema() -> str:
    """The JSON Schema of a gateway's file, for editors."""
    return json.dumps(GatewayConfig.model_json_schema(), indent=2)


def check(path: Path) -> str:
    """What to tell the operator of a file in which nothing is wrong.

    Raises:
        SettingError: with all that is wrong in it.
    """
    gateway = load(path)
    channels = ", ".join(gateway.interfaces)
    agents = ", ".join(agent.name for agent in gateway.agents)
    return f"{path} is sound. Agents that answer: {agents}. Channels: {channels}."


def show(path: Path) -> str:
    """A file as it is understood, with what comes from the environment, and secrets masked.

    Raises:
        SettingError: if it does not fit the schema.
    """
    document, config = parse(path)
    document.check()
    shown = _masked(document, config.model_dump(mode="json", exclude_unset=True), ())
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)).rstrip()


def _masked(document: Document, value: Any, place: Place) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(document, item, (*place, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(document, item, (*place, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    name = next((part for part in reversed(place) if isinstance(part, str)), "")
    if place in document.secret or "headers" in place or any(word in name.upper() for word in SECRET_WORDS):
        return MASK
    return _without_password(str(value))


def _without_password(text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError:
        return text
    return url.render_as_string(hide_password=True) if url.password is not None else text
