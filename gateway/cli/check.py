"""`understudy check`: the leak check."""

from typing import TYPE_CHECKING

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.options import AsJson, Target
from gateway.cli.terminal import print_json, say_loading

# The rest is imported where it is used, because the import takes seconds.
if TYPE_CHECKING:
    from gateway.check.report import Report


def check(target: Target, as_json: AsJson = False) -> None:
    """Look for leaks between people: call every tool, with made-up arguments and without a network.

    The exit status is 0 if no leak was found, 1 if there are leaks, and 2 if no tool could be called.
    """
    say_loading(target)
    from gateway.app.gateway import Gateway
    from gateway.check.blocking import hunt_and_wait, leave
    from gateway.configuration.loader import load_target

    found = load_target(target)
    reports = [hunt_and_wait(agent) for agent in (found.agents if isinstance(found, Gateway) else [found])]
    if as_json:
        print_json(reports)
    else:
        for report in reports:
            typer.echo(report)
    leave(_judge(reports))


def _judge(reports: "list[Report]") -> ExitCode:
    if not any(report.turns for report in reports):
        return ExitCode.USAGE
    return ExitCode.PROBLEM if any(report.leaks for report in reports) else ExitCode.OK
