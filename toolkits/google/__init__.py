"""Toolkits of Google's services. Each person uses their own account."""

from oauth.extras import extra_needed

with extra_needed("google-workspace", "A toolkit of Google's services"):
    from toolkits.google.calendar import Calendar
    from toolkits.google.drive import Drive
    from toolkits.google.gmail import Gmail

__all__ = ["Calendar", "Drive", "Gmail"]
