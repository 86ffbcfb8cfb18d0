"""The command `understudy` in processes of its own, each with its own directory and environment."""

from commands.process import COMMAND, Command, environment, run

__all__ = ["COMMAND", "Command", "environment", "run"]
