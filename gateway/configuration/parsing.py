"""Check a YAML file against the schema."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.configuration.expansion import OpenText
from gateway.configuration.reading import KEY, Document, Place, read
from gateway.configuration.schema import GatewayConfig


def parse(path: Path) -> tuple[Document, GatewayConfig]:
    """Read a file. Values that do not match the schema are noted in the document and left out of the configuration.

    Raises:
        SettingError: with every mistake, if the rest of the file is not a valid configuration.
    """
    document = read(path)
    _check_open(document, document.value, ())
    while True:
        try:
            return document, GatewayConfig.model_validate(document.value if document.value is not None else {})
        except ValidationError as error:
            found = [(each, document.written(place_of(each["loc"]))) for each in error.errors(include_url=False)]
        left_out = len(document.left_out)
        for each, place in found:
            if not left_out:  # later mistakes are only a result of what was left out
                note_error(document, each, place)
            document.leave_out(place[:-1] if each["type"] == "missing" else place)
        if len(document.left_out) == left_out:
            document.check()


def _check_open(document: Document, value: Any, place: Place) -> None:
    """Note names that only a request has in places where they cannot be expanded."""
    if isinstance(value, OpenText):
        in_agent = len(place) > 2 and place[0] == "agents"
        if not (in_agent and (place[2] == "toolkits" or place[2:] == ("instructions",))) or place[-1] == "use":
            names = ", ".join(f"${{{name}}}" for name in value.names)
            document.note(
                place,
                f"{names} has a value only in a request: use it in instructions or in the arguments of a toolkit, "
                "which each request fills in.",
            )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_open(document, item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_open(document, item, (*place, index))


def place_of(found: tuple[int | str, ...]) -> Place:
    """Return a place without the parts that pydantic adds for the types that it tried."""
    return tuple(
        part
        for part in found
        if isinstance(part, int) or not (part.startswith(("function-", "list[", "dict[")) or part in ("str", KEY))
    )


def note_error(document: Document, error: ErrorDetails, place: Place) -> None:
    """Note an error of pydantic as a mistake at a place, in plain words."""
    kind, (*_, name) = error["type"], ("the file", *document.near(place))
    if kind == "extra_forbidden":
        document.note((*place, KEY), f"{place[-1]!r} is not a known key here: correct or remove it.")
    elif kind == "missing":
        document.note(place, f"{place[-1]!r} is missing here: add it.")
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        document.note(place, f"{name}: Input should be keys with values, like `key: value`.")
    elif kind == "string_type" and not isinstance(error["input"], (dict, list, NoneType)):
        document.note(place, f"{name}: Input should be a valid string: put it in quotes.")
    else:
        document.note(place, f"{name}: {error['msg']}.")
