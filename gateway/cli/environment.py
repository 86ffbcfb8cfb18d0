"""The file `.env` of the working directory, which has settings."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from gateway.cli.terminal import say
from gateway.private_files import PRIVATE, warning_if_open
from oauth.errors import SettingError

FILE = Path(".env")


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of the file; without a value, it is one to fill in.

    Args:
        advice: where the value comes from.
        is_required: whether it needs a value.
    """

    name: str
    value: str
    advice: str
    is_required: bool = True


_loaded: set[str] = set()  # the variables that this process has from the file


def inherited_environment() -> dict[str, str]:
    """Return the environment without what is from `.env`, for a process that reads the file itself."""
    return {name: value for name, value in os.environ.items() if name not in _loaded}


def load_environment() -> None:
    """Set each variable of `.env` that the environment does not have. Warn if other users can read the file.

    Values are taken as they are written: `$` has no meaning in them. A variable without a value is not set: it is one
    to fill in.

    Raises:
        SettingError: if the file cannot be read, or a line of it is not of the form NAME=value.
    """
    try:
        with FILE.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingError(f"{FILE} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{FILE} is not encoded in UTF-8: save it in that encoding.") from None
    for binding in bindings:
        if binding.error:
            raise SettingError(f"{FILE}:{binding.original.line}: this is not of the form NAME=value: correct the line.")
        if binding.key is not None and binding.value and binding.key not in os.environ:
            os.environ[binding.key] = binding.value
            _loaded.add(binding.key)
    if sentence := warning_if_open(FILE):
        say(sentence)


def add_settings(settings: Sequence[Setting]) -> list[str]:
    """Add the settings that the file does not have yet, and create the file if it is missing.

    Nothing that the file has is changed.

    Returns:
        The names of the settings that need a value and have none, neither here nor in the environment.

    Raises:
        SettingError: if the file cannot be written.
    """
    try:
        there = dotenv_values(FILE, interpolate=False) if FILE.exists() else {}
        added = [each for each in settings if each.name not in there or (each.value and not there[each.name])]
        text = "".join(f"# {each.advice}\n{each.name}={each.value}\n" for each in added)
        with open(os.open(FILE, os.O_CREAT | os.O_RDWR | os.O_APPEND, PRIVATE), "r+", encoding="utf-8") as file:
            file.write(text if file.read().endswith("\n") or not there else f"\n{text}")
    except OSError as error:
        raise SettingError(f"{FILE} cannot be written: {error.strerror}.") from None
    say(f"Wrote {FILE}." if not there else f"Added {len(added)} settings to {FILE}.")
    for each in settings:
        if each.value and each not in added and there[each.name] != each.value:
            say(f"{FILE} keeps its {each.name}, {there[each.name]}: change it there if you want {each.value}.")
    filled = {name for name, value in {**there, **os.environ}.items() if value}
    return [each.name for each in settings if each.is_required and not each.value and each.name not in filled]
