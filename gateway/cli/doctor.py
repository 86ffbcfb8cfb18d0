"""`understudy doctor`: everything that is wrong with a set-up."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gateway.channels.diagnosis import Finding, Mark
from gateway.cli.exit_codes import ExitCode
from gateway.cli.options import LOOPBACK, AsJson, Host, Port
from gateway.cli.terminal import print_json, progress

COLORS = {Mark.OK: "green", Mark.WARNING: "yellow", Mark.PROBLEM: "bold red"}


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[FILE[:NAME]]", help="The file that you serve. Default: what the environment sets up."),
    ] = None,
    model: Annotated[
        bool, typer.Option("--model", help="Ask each model a short question, too. This costs money.")
    ] = False,
    host: Host = LOOPBACK,
    port: Port = 8000,
    as_json: AsJson = False,
) -> None:
    """Look for everything that is wrong with a set-up, and say what to do. Nothing is changed.

    The exit status is 1 if there is a problem.
    """
    with progress("Trying the settings"):
        from gateway.doctor import examine, has_problem, load_set_up  # imported here, because the import takes a second

        findings = asyncio.run(examine(load_set_up(target), asks_model=model, listens=(host, port)))
    if as_json:
        print_json(findings)
    else:
        _print(findings)
    raise typer.Exit(ExitCode.PROBLEM if has_problem(findings) else ExitCode.OK)


def _print(findings: list[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    output = Console(highlight=False)
    for finding in findings:
        line = Text.assemble(
            (f"{finding.mark:<8}", COLORS[finding.mark]), f" {finding.subject:<{width}}  {finding.text}"
        )
        output.print(line, soft_wrap=True)
