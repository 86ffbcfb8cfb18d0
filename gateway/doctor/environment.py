"""Look for misspelt names of settings, and for files with settings that others can read."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from gateway.channels.diagnosis import Finding, ok, warning
from gateway.configuration.discovery import setting_groups
from gateway.private_files import warning_if_open
from gateway.settings import GatewaySettings, ModelSettings, TranscriptionSettings
from oauth.github import GitHubSettings
from oauth.google import GoogleSettings
from oauth.settings import Settings

LIKENESS = 0.85  # of two names, from 0 to 1
DOTENV = Path(".env")


async def check_environment() -> AsyncIterator[Finding]:
    """Compare the names in the environment with those of the settings, and look at the mode of `.env`."""
    misspelt = dict(misspellings(os.environ))
    for name, likely in misspelt.items():
        yield warning("names of settings", f"{name} is no setting. If {likely} is meant, correct the name.")
    if not misspelt:
        yield ok("names of settings", "None looks misspelt.")
    if sentence := await asyncio.to_thread(warning_if_open, DOTENV):
        yield warning(".env", sentence)


def misspellings(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that is not the name of a setting but much like one, and that one."""
    groups = list(_groups())
    known = {group.variable(field) for group in groups for field in group.model_fields}
    for name in sorted(set(names) - known):
        likely = get_close_matches(name.upper(), known, 1, LIKENESS)
        if likely and not any(_may_be_of_a_named(name, group) for group in groups):
            yield name, likely[0]


def _groups() -> Iterator[type[Settings]]:
    yield from (GatewaySettings, ModelSettings, TranscriptionSettings, GoogleSettings, GitHubSettings)
    for groups in setting_groups().values():
        yield from groups


def _may_be_of_a_named(name: str, group: type[Settings]) -> bool:
    """Return whether a name may be a setting of an interface with a name, like TELEGRAM_SUPPORT_BOT_TOKEN."""
    prefix = group.variable("")
    return name.startswith(prefix) and any(name.endswith(f"_{field.upper()}") for field in group.model_fields)
