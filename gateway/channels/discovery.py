"""The channels that installed packages have."""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from gateway.channels.interface import Interface
from oauth import SettingError

ENTRY_POINTS = "understudy.interfaces"


def load_interface(channel: str) -> Callable[..., Interface]:
    """The class of a channel's interface.

    Raises:
        SettingError: if no installed package has it.
    """
    for found in entry_points(group=ENTRY_POINTS, name=channel):
        return found.load()  # type: ignore[no-any-return]
    raise SettingError(f"There is no channel called {channel!r}: install the package that has it.")


def configured_interfaces() -> list[Interface]:
    """The channels whose settings the environment has.

    Raises:
        SettingError: if there are none, or those of one are not complete.
    """
    classes: list[Any] = [found.load() for found in entry_points(group=ENTRY_POINTS)]
    interfaces = [cls() for cls in classes if getattr(cls, "configured", lambda: False)()]
    if not interfaces:
        raise SettingError(
            "No channel is set up. Set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET, TELEGRAM_BOT_TOKEN and "
            "TELEGRAM_WEBHOOK_SECRET, or TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_WHATSAPP_FROM."
        )
    return interfaces
