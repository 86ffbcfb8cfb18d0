"""The text of the files: the agent in Python or YAML, the settings, and the manifest of a Slack app."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.cli.environment import FILE as SETTINGS
from gateway.cli.environment import Setting
from gateway.cli.init.plan import YAML, Plan
from gateway.cli.slack import CHANNEL as SLACK
from gateway.configuration.discovery import installed_interfaces, installed_toolkits, setting_groups
from gateway.engines.providers import PROVIDERS
from oauth import Keyring
from oauth.settings import PLACEHOLDER, each_error, gathered_errors, placeholders, setting_of

MODEL, SECRET_KEY, BASE_URL = "UNDERSTUDY_MODEL", "UNDERSTUDY_SECRET_KEY", "UNDERSTUDY_BASE_URL"
SIGNING_SECRET = "signing_secret"  # noqa: S105 - the name of the setting
ACCESS = "access"
ANY_APP_TOKEN = {"SLACK_APP_TOKEN": "xapp-later"}

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


def code_of(plan: Plan) -> str:
    """Return the text of the agent's file."""
    texts = {"instructions": INSTRUCTIONS, "description": DESCRIPTION, "file": plan.file, "settings": SETTINGS}
    if plan.file.suffix in YAML:
        return YAML_FILE.format(**texts, toolkits=", ".join(plan.toolkits), channel=plan.channel)
    interface, toolkits = installed_interfaces()[plan.channel], [installed_toolkits()[name] for name in plan.toolkits]
    modules: dict[str, list[str]] = {}
    for found in (interface, *toolkits):
        modules.setdefault(found.module, []).append(found.attr)
    imports = "\n".join(f"from {module} import {', '.join(sorted(modules[module]))}" for module in sorted(modules))
    made = ", ".join(f"{found.attr}()" for found in toolkits)
    return PYTHON_FILE.format(**texts, imports=imports, toolkits=made, interface=interface.attr)


def settings_of(plan: Plan, code: str) -> tuple[list[Setting], list[str]]:
    """Return the settings that the agent's file needs, and a sentence for each other obstacle, like a missing package.

    Settings that a start would miss have no value.
    """
    from gateway.configuration.loader import load_gateway  # imported here, because the import takes a moment

    given = [Setting(MODEL, plan.model, "The provider and the model.")]
    if not os.environ.get(SECRET_KEY):
        given.append(
            Setting(SECRET_KEY, Keyring.generate(), "It encrypts people's tokens. Keep it, and do not change it.")
        )
    given += _settings_of_channel(plan)
    if (provider := PROVIDERS.get(plan.model.partition(":")[0])) is not None:
        given.append(Setting(provider.key, "", f"The API key for the model. Make one at {provider.keys_at}."))
    with (
        _file(plan, code, {each.name: each.value or PLACEHOLDER for each in given}) as path,
        gathered_errors() as errors,
    ):
        load_gateway(path)
    wrong = {error: setting_of(error) for error in each_error(errors)}
    missing = {each.name: Setting(each.name, "", each.advice) for each in wrong.values() if each and each.is_missing}
    advice = "The public address of the gateway, like https://bot.example.com."
    advice += "" if plan.needs_address else " It may stay empty."
    address = Setting(BASE_URL, plan.address, advice, plan.needs_address)
    return [*given, *missing.values(), address], [str(error) for error, setting in wrong.items() if setting is None]


def _settings_of_channel(plan: Plan) -> Iterator[Setting]:
    """Yield the settings that a channel does not miss, but should have."""
    group = setting_groups()[plan.channel][0]
    if plan.channel == SLACK and plan.address:  # webhooks, in place of Socket Mode
        yield Setting(group.variable(SIGNING_SECRET), "", group.model_fields[SIGNING_SECRET].description or "")
    elif plan.channel != SLACK and ACCESS in group.model_fields:  # everybody can write to the bot, not only colleagues
        advice = "Whom the bot answers: everybody (open), or people whose code you approve (pairing)."
        yield Setting(group.variable(ACCESS), "pairing", advice)


def slack_manifest(plan: Plan, code: str) -> str:
    """Return the manifest of the app."""
    from gateway.configuration.loader import load_gateway  # imported here, because the import takes a moment

    env = {BASE_URL: plan.address, "SLACK_SIGNING_SECRET": PLACEHOLDER} if plan.address else ANY_APP_TOKEN
    with _file(plan, code, {MODEL: plan.model, **env}) as path, placeholders():
        gateway = load_gateway(path)
        printed = gateway.interfaces[SLACK].manifest(gateway.profile(SLACK))
    return json.dumps(printed, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def _file(plan: Plan, code: str, env: Mapping[str, str]) -> Iterator[str]:
    """Yield the path of a copy of the agent's file. Until the block ends, the environment has more variables."""
    before = dict(os.environ)
    os.environ.update(env)
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, plan.file.name)
            path.write_text(code, encoding="utf-8")
            yield str(path)
    finally:
        os.environ.clear()
        os.environ.update(before)
