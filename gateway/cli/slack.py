"""`understudy slack …`: create the app of a gateway at Slack."""

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.terminal import say, say_loading
from oauth.errors import SettingError
from oauth.settings import PLACEHOLDER, placeholders

# The rest is imported where it is used, because the import takes a second.
if TYPE_CHECKING:
    from gateway.app.gateway import Gateway
    from gateway.channels.interface import Interface

app = typer.Typer(no_args_is_help=True, help="Create the app of a gateway at Slack.")

CHANNEL = "slack"
NEW_APP = "https://api.slack.com/apps?new_app=1"


@app.callback()
def group() -> None:
    """Keep `manifest` a command of its own: Typer makes the only command of a group the group itself."""


@app.command()
def manifest(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[FILE[:NAME]]", help="The file that you serve. Default: Slack with its defaults."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name of one of several Slack interfaces, like sales.")] = None,
) -> None:
    """Print the app manifest that a gateway needs: its scopes, events, commands and addresses. No token is needed."""
    if target is not None:
        say_loading(target)
    from gateway.channels.interface import BotProfile
    from gateway.configuration.discovery import load_interface
    from gateway.configuration.loader import load_gateway
    from gateway.settings import GatewaySettings

    slack = load_interface(CHANNEL)
    # A file that names no channels gets those that the environment sets up.
    os.environ.setdefault(slack.setting_groups[0].variable("signing_secret"), PLACEHOLDER)
    with placeholders():
        if target is None:
            interface = slack(name=name)
            profile = BotProfile(GatewaySettings().base_url, "Understudy")
        else:
            gateway = load_gateway(target)
            interface = _choose(gateway, target, name)
            profile = gateway.profile(interface.channel)
        printed = interface.manifest(profile)
    typer.echo(json.dumps(printed, indent=2, ensure_ascii=False))
    say(f"To create the app, open {NEW_APP}, choose “From a manifest”, and paste this. Then install the app.")


def _choose(gateway: "Gateway", target: str, name: str | None) -> "Interface":
    """Return the Slack interface with a name, or the only one."""
    found = {
        interface.name: interface
        for channel, interface in gateway.interfaces.items()
        if channel.partition(".")[0] == CHANNEL
    }
    if not found:
        raise SettingError(f"{target} has no Slack interface: add one.")
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        names = " or ".join(f"--name {each}" for each in found if each is not None)
        raise SettingError(f"{target} has several Slack interfaces, or none with this name: say which by {names}.")
    return found[name]
