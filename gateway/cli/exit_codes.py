"""The exit codes of all commands."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of all commands: see docs/operations.md."""

    #: The command did its work and found no problem.
    OK = 0
    #: The command found a problem, or failed, or the operator did not confirm.
    PROBLEM = 1
    #: The arguments, a setting or a file are wrong: nothing was done.
    USAGE = 2
