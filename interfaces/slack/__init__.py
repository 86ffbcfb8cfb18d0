"""The Slack channel."""

from typing import TYPE_CHECKING

from oauth.extras import from_extra

if TYPE_CHECKING:
    from interfaces.slack.bolt.listeners import authorize
    from interfaces.slack.interface import Slack

__all__ = ["Slack", "authorize"]

__getattr__ = from_extra(
    __name__,
    "slack",
    "The Slack channel",
    {"Slack": "interfaces.slack.interface", "authorize": "interfaces.slack.bolt.listeners"},
)
