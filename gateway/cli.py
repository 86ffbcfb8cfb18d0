"""One agent behind Slack, Telegram and WhatsApp, with a fresh copy of it for every message."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.logs import configure_logging
from oauth import Keyring, SettingError

DEV_DIRECTORY = Path(".understudy")
LOOPBACK = "127.0.0.1"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="Keys that encrypt what is stored.")
app.add_typer(keys, name="keys")

console = Console(stderr=True, highlight=False)

Port = Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="Where to listen.")]


def main() -> None:
    """The command `understudy`. An operator's error is its message alone, and status 2."""
    from toolkits import CloneError

    try:
        app()
    except (SettingError, CloneError) as error:
        console.print(f"understudy: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)


@keys.command("new")
def keys_new() -> None:
    """Print a new key for UNDERSTUDY_SECRET_KEY."""
    typer.echo(Keyring.generate())


@app.command()
def serve(
    target: Annotated[str, typer.Argument(metavar="FILE[:NAME]", help="A Python file with a Gateway or an Agent.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = LOOPBACK,
    port: Port = 8000,
) -> None:
    """Serve the gateway in a Python file."""
    configure_logging()
    from gateway.loader import load_gateway
    from gateway.server import serve as serve_gateway

    gateway = load_gateway(target)
    if "web" in gateway.interfaces:
        raise SettingError("The web chat runs in `understudy dev` alone: take Web() out of interfaces=[…].")

    def ready() -> None:
        _print(f"Understudy serves {target} on http://{host}:{port}")
        for channel, interface in gateway.interfaces.items():
            address = f"{gateway.base_url or '(UNDERSTUDY_BASE_URL is not set)'}{interface.address}"
            _print(f"  {channel:<10} {address}")

    serve_gateway(gateway, host, port, ready)
    _print("Stopped.")


@app.command()
def dev(port: Port = 8000) -> None:
    """Run the demonstration agent with a web chat, with no account anywhere."""
    configure_logging()
    from gateway.demo import demo_agent, offline_model
    from gateway.gateway import Gateway
    from gateway.loader import load_interface
    from gateway.server import serve as serve_gateway
    from oauth.google import GoogleAuth
    from toolkits import Toolkit
    from toolkits.google import Gmail

    DEV_DIRECTORY.mkdir(exist_ok=True)
    model = os.environ.get("UNDERSTUDY_MODEL")
    toolkits: list[Toolkit] = [Gmail()] if GoogleAuth.configured() else []
    web = load_interface("web")()
    gateway = Gateway(
        demo_agent(model or offline_model(), DEV_DIRECTORY, toolkits),
        [web],
        database=os.environ.get("UNDERSTUDY_DATABASE_URL") or f"sqlite:///{DEV_DIRECTORY}/dev.db",
        base_url=os.environ.get("UNDERSTUDY_BASE_URL") or f"http://{LOOPBACK}:{port}",
        secret_key=os.environ.get("UNDERSTUDY_SECRET_KEY") or _dev_key(),
    )

    def ready() -> None:
        model_line = model or "offline demo model (set UNDERSTUDY_MODEL and its provider's key for another)"
        gmail_line = "on" if toolkits else "off (set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET)"
        _print(f"Understudy is at http://{LOOPBACK}:{port}  (Ctrl-C stops it)")
        _print("  web chat  on: open a window for each person")
        _print(f"  model     {model_line}")
        _print(f"  Gmail     {gmail_line}")

    serve_gateway(gateway, LOOPBACK, port, ready)
    _print("Stopped.")


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _dev_key() -> str:
    """A key of this directory's own, so that what `dev` stored can be read after a restart."""
    path = DEV_DIRECTORY / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Keyring.generate())
    return path.read_text()
