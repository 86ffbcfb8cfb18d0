"""`understudy keys …`: the keys that encrypt stored tokens."""

import asyncio

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.terminal import open_database, progress, say
from gateway.settings import GatewaySettings
from oauth import Keyring
from oauth.settings import not_set
from oauth.store.rotation import rotate_keys

app = typer.Typer(no_args_is_help=True, help="Make and rotate the keys that encrypt stored tokens.")


@app.command()
def new() -> None:
    """Print a new key for UNDERSTUDY_SECRET_KEY."""
    typer.echo(Keyring.generate())


@app.command()
def rotate() -> None:
    """Re-encrypt all encrypted data with the first key of UNDERSTUDY_SECRET_KEY. The gateway may keep running."""
    asyncio.run(_rotate())


async def _rotate() -> None:
    async with open_database() as database:
        with progress("Encrypting rows") as report:
            rotated, unreadable = await rotate_keys(database, read_keyring(), report)
    if unreadable:
        say(
            f"{sum(rotated.values())} rows were re-encrypted, but no key in UNDERSTUDY_SECRET_KEY decrypts "
            f"{unreadable} others: add the key that they were encrypted with, and run the command again."
        )
        raise typer.Exit(ExitCode.PROBLEM)
    say(
        f"{sum(rotated.values())} rows were re-encrypted. "
        "You can now remove all keys but the first from UNDERSTUDY_SECRET_KEY."
    )


def read_keyring() -> Keyring:
    """Return the keys of UNDERSTUDY_SECRET_KEY.

    Raises:
        SettingError: if it is not set, or malformed.
    """
    key = GatewaySettings().secret_key
    if key is None:
        raise not_set("UNDERSTUDY_SECRET_KEY", "Set it to the value that the gateway runs with.")
    return Keyring.parse(key.get_secret_value())
