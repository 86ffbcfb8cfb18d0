"""Find the channels of installed packages by their entry points."""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from gateway.channels.interface import Interface
from oauth import SettingError
from oauth.settings import Settings, uses_placeholders

ENTRY_POINTS = "understudy.interfaces"
"""The group of entry points; each has the name of its channel and is a subclass of `Interface`."""

SETTINGS_ENTRY_POINTS = "understudy.settings"
"""The group of entry points with the `setting_groups` of channels, by the names of the channels.

A channel that has one is imported only if its settings are in the environment, and so needs its platform's library only
then.
"""

TOOLKITS = "understudy.toolkits"
"""The group of entry points under which packages register toolkits."""


def load_interface(channel: str) -> type[Interface]:
    """Return the interface class of a channel.

    Raises:
        SettingError: if no installed package has it.
    """
    for found in entry_points(group=ENTRY_POINTS, name=channel):
        return found.load()  # type: ignore[no-any-return]
    known = ", ".join(sorted(entry_points(group=ENTRY_POINTS).names))
    raise SettingError(
        f"There is no channel called {channel!r}, only {known}. Correct the name, or install the package that has "
        "the channel."
    )


def installed_interfaces() -> Mapping[str, EntryPoint]:
    """Return the entry point of each channel, by the name of the channel."""
    return {found.name: found for found in entry_points(group=ENTRY_POINTS)}


def installed_toolkits() -> Mapping[str, EntryPoint]:
    """Return the entry point of each toolkit, by its name."""
    return {found.name: found for found in sorted(entry_points(group=TOOLKITS), key=lambda found: found.name)}


def setting_groups() -> Mapping[str, Sequence[type[Settings]]]:
    """Return the groups of settings of each channel. A channel with the entry point for them is not imported."""
    groups = _own_groups()
    for found in entry_points(group=ENTRY_POINTS):
        if found.name not in groups:
            groups[found.name] = found.load().setting_groups
    return groups


def configured_interfaces() -> list[Interface]:
    """Make an interface of each channel whose settings are in the environment.

    None of them has a name: a setting like TELEGRAM_SUPPORT_BOT_TOKEN adds no interface.

    Raises:
        SettingError: if no channel is set up, or the settings or the library of one are incomplete. In a block of
            `placeholders`, it is no error that no channel is set up.
    """
    groups = _own_groups()
    classes: list[type[Interface]] = [
        found.load()
        for found in entry_points(group=ENTRY_POINTS)
        if found.name not in groups or any(group.mentioned() for group in groups[found.name])
    ]
    if interfaces := [cls() for cls in classes if cls.configured()]:
        return interfaces
    if uses_placeholders():
        return []
    groups |= {cls.channel: cls.setting_groups for cls in classes if cls.setting_groups}
    needed = [f"{channel} ({_needed(each)})" for channel, each in sorted(groups.items())]
    raise SettingError(
        f"No channel is set up. Set the environment variables of one of these: {'; '.join(needed)}. "
        "Interfaces with names, like telegram.support, are used only if the file lists them."
    )


def _own_groups() -> dict[str, Sequence[type[Settings]]]:
    """Return the groups of the channels that have an entry point for them."""
    return {found.name: found.load() for found in entry_points(group=SETTINGS_ENTRY_POINTS)}


def _needed(groups: Sequence[type[Settings]]) -> str:
    return ", or else ".join(_listed(group.required_variables()) for group in groups)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
