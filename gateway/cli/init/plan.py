"""The choices of an operator: what the options of the command give, and the answers to questions about the rest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from gateway.configuration.discovery import installed_toolkits, load_interface, setting_groups
from gateway.configuration.shadowing import PACKAGES
from gateway.engines.providers import DEFAULT_MODEL, PROVIDERS
from oauth import SettingError
from oauth.settings import check_url

T = TypeVar("T")

YAML = (".yaml", ".yml")
DEFAULT_CHANNEL = "slack"
# What a channel does without a public address. Other channels need one.
WITHOUT_ADDRESS = {"slack": "Socket Mode, which needs none", "telegram": "polling, which needs none"}


@dataclass(frozen=True, slots=True)
class Plan:
    """The choices for a new bot, from which its files are written.

    Args:
        address: the public address of the gateway; empty if there is none, or none yet.
        model: a provider and a model, like openai:gpt-5.2.
        toolkits: the names of the toolkits.
        file: the file of the agent.
    """

    channel: str
    address: str
    model: str
    toolkits: Sequence[str]
    file: Path

    @property
    def needs_address(self) -> bool:
        return self.channel not in WITHOUT_ADDRESS


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that the operator gave as options; `None` for one that is asked, or has a default.

    Args:
        asks: whether to ask.
        default_model: the model that the environment names; `None` if it names none.
    """

    channel: str | None
    address: str | None
    model: str | None
    toolkits: str | None
    file: Path
    asks: bool
    default_model: str | None

    def plan(self) -> Plan:
        """Ask for what is not given, and return the plan.

        Raises:
            SettingError: if something that is given does not exist, or is not installed.
        """
        file = _check_file(self.file)
        channel = self._choose(self.channel, f"Channel ({', '.join(_channels())})", DEFAULT_CHANNEL, _check_channel)
        without = WITHOUT_ADDRESS.get(channel, "now, and fill it in later")
        address_question = f"Public address, like https://bot.example.com (leave it empty for {without})"
        toolkits_question = f"Toolkits ({', '.join(installed_toolkits())}; leave it empty for none)"
        return Plan(
            channel,
            self._choose(self.address, address_question, "", _check_address),
            self._choose_model(),
            self._choose(self.toolkits, toolkits_question, "", _check_toolkits),
            file,
        )

    def _choose(self, given: str | None, question: str, default: str, check: Callable[[str], T]) -> T:
        if given is None and self.asks:
            return _ask(question, default, check)
        return check(default if given is None else given)

    def _choose_model(self) -> str:
        if self.model is not None:
            return _check_model(self.model)
        if not self.asks:
            return self.default_model or DEFAULT_MODEL
        default = self.default_model or ""
        provider, _, model = (default if ":" in default else DEFAULT_MODEL).partition(":")
        known = sorted({*PROVIDERS, provider})
        question = f"Provider of the model ({', '.join(known)}; --model takes others)"
        chosen = _ask(question, provider, lambda name: _check_one(name, "provider", known))
        return f"{chosen}:{_ask('Model', model if chosen == provider else PROVIDERS[chosen].model, str)}"


def _ask(question: str, default: str, check: Callable[[str], T]) -> T:
    """Ask until the check raises no `SettingError`, and return what it returns."""

    def take(text: str) -> T:
        try:
            return check(text.strip())
        except SettingError as error:
            raise typer.BadParameter(str(error)) from None

    answer: T = typer.prompt(question, default, value_proc=take, show_default=bool(default), err=True)
    return answer


def _channels() -> Sequence[str]:
    """Return the channels that a bot can be set up for by settings alone."""
    return sorted(channel for channel, groups in setting_groups().items() if groups)


def _check_one(name: str, kind: str, known: Sequence[str]) -> str:
    if name not in known:
        raise SettingError(f"There is no {kind} called {name!r}: choose one of {', '.join(known)}.")
    return name


def _check_channel(name: str) -> str:
    _check_one(name, "channel", _channels())
    load_interface(name)  # the error names the extra that is not installed
    return name


def _check_address(address: str) -> str:
    try:
        return check_url(address) if address else ""
    except ValueError as error:
        raise SettingError(f"The address {address!r} cannot be used: {error}.") from None


def _check_model(model: str) -> str:
    if not all(model.partition(":")):
        raise SettingError(f"The model {model!r} has no provider: write it like {DEFAULT_MODEL}.")
    return model


def _check_toolkits(text: str) -> Sequence[str]:
    names, installed = text.replace(",", " ").split(), installed_toolkits()
    for name in names:
        _check_one(name, "toolkit", list(installed))
        installed[name].load()  # the error names the extra that is not installed
    return list(dict.fromkeys(names))


def _check_file(file: Path) -> Path:
    if file.suffix not in (".py", *YAML):
        raise SettingError(f"{file} is neither a Python file (.py) nor a YAML file (.yaml): choose another name.")
    if file.suffix == ".py" and file.stem in PACKAGES:
        raise SettingError(f"{file} would hide Understudy's package {file.stem!r}: choose another name.")
    if not file.parent.is_dir():
        raise SettingError(f"The folder {file.parent} does not exist: create it, or choose another file.")
    return file
