"""Run the command `understudy` in the process of a test, beside a gateway that runs there."""

import asyncio

from typer.testing import CliRunner

from gateway.cli.main import app


async def invoke(*arguments: str, answer: str | None = None) -> str:
    """Run `understudy …` in a thread, and return what it prints.

    Args:
        answer: what the operator types.

    Raises:
        Exception: what the command raises.
    """
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=answer)
    if result.exception is not None:
        raise result.exception
    return result.output
