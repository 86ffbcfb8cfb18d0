"""The errors that tools raise for the model."""

from oauth.errors import UnderstudyError


class ToolError(UnderstudyError):
    """A tool could not do what it was asked. The message is for the model, which may try something else."""


class NoAnswerError(ToolError):
    """A person was asked something, and did not answer in time."""
