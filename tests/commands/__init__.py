"""Run the command `understudy` in processes, each with its own directory and environment."""

from commands.process import COMMAND, Command, environment, run

__all__ = ["COMMAND", "Command", "environment", "run"]
