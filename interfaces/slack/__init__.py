"""The Slack channel."""

from interfaces.slack.bolt.listeners import authorize
from interfaces.slack.interface import Slack

__all__ = ["Slack", "authorize"]
