"""The Telegram channel, on the Bot API."""

from interfaces.telegram.interface import Telegram

__all__ = ["Telegram"]
