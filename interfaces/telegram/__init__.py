"""The Telegram channel, on the Bot API."""

from typing import TYPE_CHECKING

from oauth.extras import from_extra

if TYPE_CHECKING:
    from interfaces.telegram.interface import Telegram

__all__ = ["Telegram"]

__getattr__ = from_extra(__name__, "telegram", "The Telegram channel", {"Telegram": "interfaces.telegram.interface"})
