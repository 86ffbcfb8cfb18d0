"""`understudy db …`: the database."""

import asyncio
from typing import Annotated

import typer

from gateway.cli.terminal import progress, say
from gateway.operations.copying import copy_database
from gateway.settings import GatewaySettings
from gateway.storage.connect import connect

app = typer.Typer(no_args_is_help=True, help="Create, upgrade or copy the database.")


@app.command()
def upgrade() -> None:
    """Create the database of UNDERSTUDY_DATABASE_URL, or bring its tables up to date."""
    database = connect(GatewaySettings().database_url)
    with progress("Upgrading the tables"):
        asyncio.run(database.upgrade())
    say("The database is up to date.")


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Argument(help="The address to copy from, for example sqlite:///understudy.db. Stop its gateway first."),
    ],
    target: Annotated[
        str,
        typer.Argument(
            help="The address of an empty database to copy to, for example postgresql://user:password@host/name."
        ),
    ],
) -> None:
    """Copy everything to another database, for example from SQLite to PostgreSQL."""
    with progress("Copying rows") as report:
        copied = asyncio.run(copy_database(source, target, report))
    for table, rows in copied.items():
        say(f"  {table:<22} {rows}")
    say("Copied. Set UNDERSTUDY_DATABASE_URL to the second address, and keep UNDERSTUDY_SECRET_KEY as it is.")
