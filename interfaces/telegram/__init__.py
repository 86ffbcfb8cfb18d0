"""Telegram, by its Bot API."""

from interfaces.telegram.interface import Telegram

__all__ = ["Telegram"]
