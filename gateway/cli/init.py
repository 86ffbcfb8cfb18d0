"""`understudy init`: write the files of a new bot."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.environment import FILE as SETTINGS
from gateway.cli.environment import Setting, add_settings
from gateway.cli.slack import CHANNEL as SLACK
from gateway.cli.slack import NEW_APP
from gateway.cli.terminal import say
from oauth import Keyring, SettingError
from oauth.settings import each_error, gathered_errors, placeholders, setting_of

YAML = (".yaml", ".yml")
MODEL, SECRET_KEY = "UNDERSTUDY_MODEL", "UNDERSTUDY_SECRET_KEY"
DEFAULT_CHANNEL = "slack"
DEFAULT_MODEL = "openai:gpt-5.2"
# https://ai.pydantic.dev/models/overview/ names the variable of each provider's key.
KEYS = {name: f"{name.upper()}_API_KEY" for name in ("anthropic", "google", "groq", "mistral", "openai", "openrouter")}
MANIFEST = "slack-manifest.json"

INSTRUCTIONS = "You are a helpful assistant. Be brief."
DESCRIPTION = "I answer your questions."

PYTHON_FILE = '''"""An assistant. Run it with `understudy serve {file}`; {settings} has its settings."""

from gateway import Agent, Gateway
{imports}

agent = Agent(
    toolkits=[{toolkits}],
    instructions="{instructions}",
    name="Assistant",
    description="{description}",
)
gateway = Gateway(agent, interfaces=[{interface}()])
'''
YAML_FILE = """# An assistant. Run it with `understudy serve {file}`; {settings} has its settings.
agents:
  assistant:
    instructions: {instructions}
    description: {description}
    toolkits: [{toolkits}]
interfaces:
  {channel}:
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The choices of an operator.

    Args:
        model: a provider and a model, like openai:gpt-5.2.
        toolkits: the names of the toolkits.
        file: the file to write.
    """

    channel: str
    model: str
    toolkits: Sequence[str]
    file: Path


def init(
    channel: Annotated[str | None, typer.Option(help="The channel, for example slack.")] = None,
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

    Settings that .env has are kept.
    """
    channels, toolkits = _installed("understudy.interfaces"), _installed("understudy.toolkits")
    plan = Plan(
        channel or _ask(f"Channel ({', '.join(_with_settings(channels))})", DEFAULT_CHANNEL, yes),
        model or _ask("Provider and model", os.environ.get(MODEL) or DEFAULT_MODEL, yes),
        toolkit if toolkit is not None else _words(_ask(f"Toolkits ({', '.join(toolkits)})", "", yes)),
        file,
    )
    _check(plan, _with_settings(channels), list(toolkits))
    manifest = plan.file.with_name(MANIFEST) if plan.channel == SLACK else None
    for path in (plan.file, manifest):
        if path is not None and path.exists() and not force:
            raise SettingError(f"{path} exists: name a file elsewhere with --file, or overwrite it with --force.")
    _write(plan.file, _code(plan, channels[plan.channel], [toolkits[name] for name in plan.toolkits]))
    empty = add_settings(_settings(plan))
    if manifest is not None:
        _write(manifest, _slack_manifest(plan))
    say("Next:")
    if manifest is not None:
        say(f"  Create the app: open {NEW_APP}, choose “From a manifest”, and paste {manifest}. Then install the app.")
    if empty:
        say(f"  Fill in {SETTINGS}, which says where each value comes from: {', '.join(empty)}.")
    say(f"  Run `understudy doctor {plan.file}` to check everything, and `understudy serve {plan.file}` to start.")


def _ask(question: str, default: str, yes: bool) -> str:
    return default if yes else str(typer.prompt(question, default, show_default=bool(default), err=True))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _installed(group: str) -> dict[str, EntryPoint]:
    return {found.name: found for found in sorted(entry_points(group=group), key=lambda found: found.name)}


def _with_settings(channels: dict[str, EntryPoint]) -> list[str]:
    """Return the channels that a bot can be set up for by settings alone."""
    return [name for name, found in channels.items() if found.load().setting_groups]


def _check(plan: Plan, channels: Sequence[str], toolkits: Sequence[str]) -> None:
    """Check what the operator wants.

    Raises:
        SettingError: if something of it does not exist.
    """
    for kind, known, given in (("channel", channels, [plan.channel]), ("toolkit", toolkits, plan.toolkits)):
        for name in given:
            if name not in known:
                raise SettingError(f"There is no {kind} called {name!r}: choose one of {', '.join(known)}.")
    if ":" not in plan.model:
        raise SettingError(f"The model {plan.model!r} has no provider: write it like {DEFAULT_MODEL}.")
    if plan.file.suffix not in (".py", *YAML):
        raise SettingError(f"{plan.file} is neither a Python file (.py) nor a YAML file (.yaml): choose another name.")


def _code(plan: Plan, interface: EntryPoint, toolkits: Sequence[EntryPoint]) -> str:
    texts = {"instructions": INSTRUCTIONS, "description": DESCRIPTION, "file": plan.file, "settings": SETTINGS}
    if plan.file.suffix in YAML:
        return YAML_FILE.format(**texts, toolkits=", ".join(plan.toolkits), channel=plan.channel)
    modules: dict[str, list[str]] = {}
    for found in (interface, *toolkits):
        modules.setdefault(found.module, []).append(found.attr)
    imports = "\n".join(f"from {module} import {', '.join(sorted(modules[module]))}" for module in sorted(modules))
    made = ", ".join(f"{found.attr}()" for found in toolkits)
    return PYTHON_FILE.format(**texts, imports=imports, toolkits=made, interface=interface.attr)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}.") from None
    say(f"Wrote {path}.")


def _settings(plan: Plan) -> list[Setting]:
    """Return the settings of the file that was written: those that a start would miss are empty."""
    from gateway.configuration.loader import load_gateway  # imported here, because the import takes a moment

    given = [Setting(MODEL, plan.model, "The provider and the model.")]
    if not os.environ.get(SECRET_KEY):
        given.append(
            Setting(SECRET_KEY, Keyring.generate(), "It encrypts people's tokens. Keep it, and do not change it.")
        )
    os.environ.update({setting.name: setting.value for setting in given})
    with gathered_errors() as errors:
        load_gateway(str(plan.file))
    wrong = filter(None, map(setting_of, each_error(errors)))
    advice = {setting.name: setting.advice for setting in wrong if setting.is_missing}
    provider = plan.model.partition(":")[0]
    key = [Setting(KEYS[provider], "", f"The API key of {provider}.")] if provider in KEYS else []
    missing = [Setting(name, "", advice[name]) for name in advice]
    address = Setting(
        "UNDERSTUDY_BASE_URL",
        "",
        "The public address of the gateway, like https://bot.example.com. WhatsApp needs it.",
        is_required=False,
    )
    return [*given, *key, *missing, address]


def _slack_manifest(plan: Plan) -> str:
    """Return the manifest of an app with Socket Mode, which needs no public address."""
    from gateway.configuration.loader import load_gateway  # imported here, because the import takes a moment

    os.environ.setdefault("SLACK_APP_TOKEN", "xapp-later")
    with placeholders():
        gateway = load_gateway(str(plan.file))
        printed = gateway.interfaces[SLACK].manifest(gateway.profile(SLACK))
    return json.dumps(printed, indent=2, ensure_ascii=False) + "\n"
