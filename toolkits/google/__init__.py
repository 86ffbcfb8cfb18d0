"""Google's services, each person's with their own account."""

from toolkits.google.gmail import Gmail

__all__ = ["Gmail"]
