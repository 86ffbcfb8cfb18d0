"""`understudy dev`: the demonstration agent in a web chat."""

import os

from gateway.app.gateway import Gateway
from gateway.cli.options import LOOPBACK, Port
from gateway.cli.terminal import say
from gateway.configuration.discovery import load_interface
from gateway.logs import configure_logging
from gateway.settings import DEV_DATABASE, DEV_DIRECTORY
from oauth import Keyring, SettingError
from toolkits import Toolkit


def dev(port: Port = 8000) -> None:
    """Run the demonstration agent with a web chat on this machine. No account is needed anywhere."""
    configure_logging()
    # Imported here, because the imports take seconds.
    from gateway.app.server import serve
    from gateway.demo import demo_agent, offline_model
    from oauth.google import GoogleAuth
    from toolkits.google import Gmail

    DEV_DIRECTORY.mkdir(exist_ok=True)
    database = os.environ.get("UNDERSTUDY_DATABASE_URL") or f"sqlite:///{DEV_DATABASE}"
    if not database.startswith("sqlite"):
        raise SettingError(
            "UNDERSTUDY_DATABASE_URL does not name a SQLite file, but `understudy dev` needs one, because it runs "
            "without workers: unset it, or set it to an address like sqlite:///understudy.db."
        )
    model = os.environ.get("UNDERSTUDY_MODEL")
    toolkits: list[Toolkit] = [Gmail()] if GoogleAuth.configured() else []
    gateway = Gateway(
        demo_agent(model or offline_model(), DEV_DIRECTORY, toolkits),
        [load_interface("web")()],
        settings={"database_url": database},  # errors name the variable, not an argument
        base_url=os.environ.get("UNDERSTUDY_BASE_URL") or f"http://{LOOPBACK}:{port}",
        secret_key=os.environ.get("UNDERSTUDY_SECRET_KEY") or _dev_key(),
    )

    def announce() -> None:
        model_line = model or "a small offline model (set UNDERSTUDY_MODEL and its provider's key for a real one)"
        gmail_line = "on" if toolkits else "off (set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET)"
        say(f"Understudy is at http://{LOOPBACK}:{port}  (Ctrl-C stops it)")
        say("  web chat  on: each window is another person")
        say(f"  model     {model_line}")
        say(f"  Gmail     {gmail_line}")

    serve(gateway, LOOPBACK, port, announce)
    say("Stopped.")


def _dev_key() -> str:
    """Return the key of this directory, so that what `dev` stores can be read after a restart."""
    path = DEV_DIRECTORY / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Keyring.generate())
    return path.read_text()
