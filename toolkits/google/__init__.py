"""Toolkits of Google's services. Each person uses their own account."""

from toolkits.google.calendar import Calendar
from toolkits.google.drive import Drive
from toolkits.google.gmail import Gmail

__all__ = ["Calendar", "Drive", "Gmail"]
