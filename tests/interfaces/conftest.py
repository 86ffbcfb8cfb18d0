from interfaces_run import run
from slack_run import slack

__all__ = ["run", "slack"]
