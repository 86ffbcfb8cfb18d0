"""`understudy dev`: the demonstration agent, or the operator's own, in a web chat."""

import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.environment import inherited_environment
from gateway.cli.options import LOOPBACK, Port
from gateway.cli.terminal import say, say_loading
from gateway.private_files import PRIVATE
from gateway.settings import DEV_DATABASE, DEV_DIRECTORY
from gateway.timings import Timings
from oauth.errors import SettingError
from oauth.settings import PLACEHOLDER, each_error, gathered_errors, placeholders, raise_all, setting_of

# The rest is imported where it is used, because the imports take seconds.
if TYPE_CHECKING:
    from gateway.agents.agent import Agent
    from toolkits import Toolkit

# The end of the process does not wait for a running turn, which is played again after the next start.
TIMINGS = Timings(shutdown_grace=0.2, cancel_grace=1.0)


def dev(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE[:NAME]]",
            help="A Python file with an agent or a Gateway, or a YAML file; without one, the demonstration agent.",
        ),
    ] = None,
    port: Port = 8000,
    reload: Annotated[bool, typer.Option(help="Start again when the file or what it imports changes.")] = True,
) -> None:
    """Chat with an agent on this machine, in windows of several people. The demonstration agent needs no account."""
    if target is not None and reload:
        _run_reloading(target, port)
    say_loading(target or "the demonstration agent")
    gc.disable()  # as in `serve`
    from gateway.app.gateway import Gateway
    from gateway.app.server import listen, serve
    from gateway.configuration.discovery import load_interface
    from gateway.logs import configure_logging

    configure_logging()
    try:
        DEV_DIRECTORY.mkdir(exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"The folder {DEV_DIRECTORY} cannot be created here: {error.strerror}. Run `understudy dev` in a folder "
            "where you may create files."
        ) from None
    database = os.environ.get("UNDERSTUDY_DATABASE_URL") or f"sqlite:///{DEV_DATABASE}"
    if not database.startswith("sqlite"):
        raise SettingError(
            "UNDERSTUDY_DATABASE_URL does not name a SQLite file, but `understudy dev` needs one, because it runs "
            "without workers: unset it, or set it to an address like sqlite:///understudy.db."
        )
    # In the environment, they also serve a Gateway in the file, and errors name the variable.
    os.environ["UNDERSTUDY_DATABASE_URL"] = database
    os.environ["UNDERSTUDY_BASE_URL"] = os.environ.get("UNDERSTUDY_BASE_URL") or f"http://{LOOPBACK}:{port}"
    os.environ["UNDERSTUDY_SECRET_KEY"] = os.environ.get("UNDERSTUDY_SECRET_KEY") or _dev_key()
    agent, lines = _demo_agent() if target is None else _own_agent(target)
    web: Any = load_interface("web")
    gateway = Gateway(agent, [web(panel=True)], timings=TIMINGS)

    def announce() -> None:
        say(f"Understudy is at http://{LOOPBACK}:{port}  (Ctrl-C stops it)")
        say("  web chat  on: each window is another person")
        for line in lines:
            say(f"  {line}")

    serve(gateway, listen(LOOPBACK, port), announce)
    say("Stopped.")


def _run_reloading(target: str, port: int) -> None:
    """Run this command in another process, which starts again when a file changes. Return if there is no such file.

    Raises:
        typer.Exit: when the process has ended.
    """
    from gateway.cli.dev.reloading import Program, run_reloading  # imported here, because it takes a moment
    from gateway.configuration.loader import split_target

    file, _ = split_target(target)
    if not file.is_file():
        return
    command = [sys.executable, sys.argv[0], "dev", target, "--port", str(port), "--no-reload"]
    raise typer.Exit(run_reloading(Program(command, inherited_environment(), file)))


def _demo_agent() -> "tuple[Agent, list[str]]":
    """Return the demonstration agent, and lines about it."""
    from gateway.demo import demo_agent, offline_model

    model = os.environ.get("UNDERSTUDY_MODEL")
    toolkits = _toolkits()
    model_line = model or "a small offline model (set UNDERSTUDY_MODEL and its provider's key for a real one)"
    gmail_line = "on" if toolkits else "off (set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET)"
    agent = demo_agent(model or offline_model(), DEV_DIRECTORY, toolkits)
    return agent, [f"model     {model_line}", f"Gmail     {gmail_line}"]


def _own_agent(target: str) -> "tuple[Agent, list[str]]":
    """Return the agent of a file, and lines about it. Settings of other channels, and of accounts, may be missing.

    Raises:
        SettingError: with everything that is wrong, if there is no agent, or it has no model.
    """
    from gateway.app.gateway import Gateway
    from gateway.configuration.loader import load_target
    from toolkits import CloneError

    found: Gateway | Agent | None = None
    with gathered_errors() as errors:
        found = load_target(target)
    wrong = each_error(errors)
    about_settings = [str(error) for error in wrong if setting_of(error) is not None]
    if found is None or len(about_settings) < len(wrong):  # other mistakes, or only that no channel is set up
        found = None
        with placeholders(), suppress(SettingError, CloneError):
            found = load_target(target)
    agent = found.agent if isinstance(found, Gateway) else found
    if agent is None or any(each.model == PLACEHOLDER for each in agent.team()):
        raise_all(errors)
    assert agent is not None
    lines = [f"agent     {agent.name}, from {target}"]
    if about_settings:
        lines += ["What needs a setting that is missing does not work here:", *about_settings]
    return agent, lines


def _dev_key() -> str:
    """Return the key of this directory, so that what `dev` stores can be read after a restart."""
    from oauth import Keyring

    path = DEV_DIRECTORY / "secret_key"
    if not path.exists():
        path.touch(mode=PRIVATE)
        path.write_text(Keyring.generate())
    return path.read_text()


def _toolkits() -> "list[Toolkit]":
    """Return the toolkit of Gmail if the environment sets up a Google client, and no toolkit otherwise."""
    if not (os.environ.get("GOOGLE_CLIENT_ID") or os.environ.get("GOOGLE_CLIENT_SECRET")):
        return []
    from toolkits.google import Gmail

    return [Gmail()]
