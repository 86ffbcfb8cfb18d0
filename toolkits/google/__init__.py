"""Google's services, each person's with their own account."""

from toolkits.google.calendar import Calendar
from toolkits.google.drive import Drive
from toolkits.google.gmail import Gmail

__all__ = ["Calendar", "Drive", "Gmail"]
