"""`understudy serve`, `worker` and `send`: the commands that run an operator's file."""

import asyncio
import gc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.options import LOOPBACK, Channel, ConversationId, Host, Port, Target, Tenant, in_utc
from gateway.cli.terminal import say, say_loading
from oauth.errors import SettingError
from oauth.settings import LOOPBACK_HOSTS, all_errors, going_on

# The rest is imported where it is used, because the import takes a second.
if TYPE_CHECKING:
    from gateway.app.gateway import Gateway

REACHED_AS_LOCALHOST = LOOPBACK_HOSTS | {"0.0.0.0", "::"}  # noqa: S104 - an operator may listen on every address


def serve(
    target: Target,
    host: Host = LOOPBACK,
    port: Port = 8000,
) -> None:
    """Serve a gateway: accept the messages of its channels and, on SQLite, answer them."""
    say_loading(target)
    gc.disable()  # until it has started: imports make many objects that stay, in which collections would search in vain
    from gateway.app.server import listen
    from gateway.app.server import serve as serve_gateway
    from gateway.logs import configure_logging

    configure_logging()
    with all_errors():
        with going_on():
            listener = listen(host, port)
        gateway = _load(target)
    if "web" in gateway.interfaces:
        raise SettingError(
            f"{target} has the web chat among its interfaces. The web chat runs only in `understudy dev`, because it "
            "asks nobody for a password: remove it."
        )

    is_local = host in REACHED_AS_LOCALHOST and gateway.sign_in_here(port)

    def announce() -> None:
        say(f"Understudy serves {target} on http://{host}:{port}")
        width = max(10, *map(len, gateway.interfaces), 0)
        for channel, interface in gateway.interfaces.items():
            say(f"  {channel:<{width}} {interface.events_from(gateway.base_url)}")
        if is_local:
            say(
                f"  Sign-in links lead to http://localhost:{port}, as UNDERSTUDY_BASE_URL is not set: only people on "
                "this machine can sign in."
            )
        if gateway.needs_workers:
            say(f"  Messages are stored here and answered by workers: start one with `understudy worker {target}`.")

    serve_gateway(gateway, listener, announce)
    say("Stopped.")


def worker(target: Target) -> None:
    """Answer the messages that `understudy serve` accepts. Workers need PostgreSQL; any number may run, on any host."""
    say_loading(target)
    gc.disable()  # as in `serve`
    from gateway.app.server import work
    from gateway.logs import configure_logging

    configure_logging()
    work(_load(target), lambda: say(f"Understudy answers the messages of {target}"))
    say("Stopped.")


def send(
    target: Target,
    channel: Channel,
    tenant: Tenant,
    conversation: ConversationId,
    text: Annotated[str, typer.Argument(help="The message, in markdown.")],
    at: Annotated[datetime | None, typer.Option(help="When to send it, in UTC. Default: now.")] = None,
    key: Annotated[str | None, typer.Option(help="Send only once: later sends with the same key do nothing.")] = None,
    shared: Annotated[
        bool, typer.Option(help="Several people read the conversation; needed only if it is new.")
    ] = False,
) -> None:
    """Send a message to a conversation, now or later. A running gateway or worker delivers it."""
    say_loading(target)
    from toolkits import Conversation

    gateway, where = _load(target), Conversation(channel, tenant, conversation, shared)

    async def store() -> str | None:
        async with gateway.alongside():
            return await gateway.send(where, text, at=in_utc(at) or datetime.now(UTC), key=key)

    reference = asyncio.run(store())
    say(f"Stored (reference {reference})." if reference else f"Nothing to do: the key {key!r} was used before.")


def _load(target: str) -> "Gateway":
    from gateway.configuration.loader import load_gateway

    return load_gateway(target)
