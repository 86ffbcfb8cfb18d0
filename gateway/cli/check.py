"""`understudy check`: the leak check."""

import typer

from gateway.app.gateway import Gateway
from gateway.cli.options import Target


def check(target: Target) -> None:
    """Look for leaks between people: call every tool, with made-up arguments and without a network.

    The exit status is 0 if no leak was found, 1 if there are leaks, and 2 if no tool could be called.
    """
    from gateway.check.blocking import hunt_and_wait, leave
    from gateway.configuration.loader import load_target

    found = load_target(target)
    reports = [hunt_and_wait(agent) for agent in (found.agents if isinstance(found, Gateway) else [found])]
    for report in reports:
        typer.echo(report)
    if not any(report.turns for report in reports):
        leave(2)
    leave(1 if any(report.leaks for report in reports) else 0)
