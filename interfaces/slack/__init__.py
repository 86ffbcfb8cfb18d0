"""The Slack channel."""

from interfaces.slack.interface import Slack

__all__ = ["Slack"]
