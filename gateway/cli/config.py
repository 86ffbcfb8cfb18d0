"""`understudy config …`, on an operator's terminal."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.configuration.building import load, parse
from gateway.configuration.reading import Document, Place
from gateway.configuration.schema import GatewayConfig

MASK = "***"
SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "KEY", "CREDENTIAL")

# An address, also inside a text: https://www.rfc-editor.org/rfc/rfc3986#appendix-B
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)((?P<credentials>[^/?#\s]*)@)?(?P<rest>[^?#\s]*)(?P<query>[?#]\S*)?")


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
    """Return a file as it is understood; secrets, and values that come from the environment, are masked.

    Raises:
        SettingError: if it does not fit the schema.
    """
    document, config = parse(path)
    document.check()
    shown = _masked(document, config.model_dump(mode="json", exclude_unset=True), ())
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)).rstrip()


def _masked(document: Document, value: Any, place: Place) -> Any:
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
