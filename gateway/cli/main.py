"""One agent behind Slack, Telegram and WhatsApp, with a fresh copy of it for every message."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.logs import configure_logging
from gateway.runs.events import ToolOutcome
from gateway.settings import DEV_DATABASE, DEV_DIRECTORY
from oauth import Identity, Keyring, SettingError

LOOPBACK = "127.0.0.1"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help=__doc__)
keys = typer.Typer(no_args_is_help=True, help="Keys that encrypt what is stored.")
app.add_typer(keys, name="keys")
db = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(db, name="db")
deadletters = typer.Typer(no_args_is_help=True, help="What was given up.")
app.add_typer(deadletters, name="deadletters")

person = typer.Typer(no_args_is_help=True, help="What is stored about one person.")
app.add_typer(person, name="person")
config = typer.Typer(no_args_is_help=True, help="Gateways that are files.")
app.add_typer(config, name="config")
sessions = typer.Typer(no_args_is_help=True, help="The histories of conversations.")
app.add_typer(sessions, name="sessions")
accounts = typer.Typer(no_args_is_help=True, help="What people have connected.")
app.add_typer(accounts, name="accounts")

console = Console(stderr=True, highlight=False)

Port = Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="Where to listen.")]

Channel = Annotated[str, typer.Argument(help="Like slack.")]
Tenant = Annotated[str, typer.Argument(help="The workspace, the bot's id, or the number.")]
User = Annotated[str, typer.Argument(help="The person's id.")]

Target = Annotated[
    str, typer.Argument(metavar="FILE[:NAME]", help="A Python file with a Gateway or an Agent, or a YAML file.")
]
ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="Like gateway.yaml.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids or references.")]
Every = Annotated[bool, typer.Option("--all", help="All that there are.")]


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


@keys.command("rotate")
def keys_rotate() -> None:
    """Encrypt all that is stored under the first key of UNDERSTUDY_SECRET_KEY. The gateway may run meanwhile."""
    from gateway.cli.accounts import rotate

    _print(asyncio.run(rotate()))


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of a gateway's file, for editors."""
    from gateway.cli.config import schema

    typer.echo(schema())


@config.command("check")
def config_check(path: ConfigFile) -> None:
    """Say all that is wrong in a gateway's file, each with its line and column."""
    from gateway.cli.config import check as check_file

    _print(check_file(path))


@config.command("show")
def config_show(path: ConfigFile) -> None:
    """Print a gateway's file as it is understood; secrets, and values from the environment, are masked."""
    from gateway.cli.config import show

    typer.echo(show(path))


@sessions.command("export")
def sessions_export(
    channel: Channel,
    tenant: Tenant,
    conversation: Annotated[str, typer.Argument(help="The conversation, as `understudy audit` shows it.")],
) -> None:
    """Print the history of a conversation, one JSON object an item, what is private included."""
    from gateway.cli.sessions import export
    from toolkits import Conversation

    asyncio.run(export(Conversation(channel, tenant, conversation, shared=True)))


@accounts.command("list")
def accounts_list(
    channel: Annotated[str | None, typer.Option(help="Only of this channel, like slack.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this workspace, bot or number.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of the person with this id.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider, like google.")] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account, like an e-mail address.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List what people have connected."""
    from gateway.cli.accounts import print_accounts

    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "provider": provider, "account": account}
    asyncio.run(print_accounts(wanted, as_json=as_json))


@accounts.command("revoke")
def accounts_revoke(
    channel: Channel,
    tenant: Tenant,
    user: User,
    provider: Annotated[str, typer.Argument(help="Like google.")],
) -> None:
    """Disconnect an account for a person, as they do themselves by /disconnect."""
    from gateway.cli.accounts import revoke

    _print(asyncio.run(revoke(Identity(channel, tenant, user), provider)))


@person.command("export")
def person_export(channel: Channel, tenant: Tenant, user: User) -> None:
    """Print all that is stored about one person, but for their tokens, as JSON."""
    from gateway.cli.accounts import print_person

    asyncio.run(print_person(Identity(channel, tenant, user)))


@person.command("erase")
def person_erase(
    channel: Channel,
    tenant: Tenant,
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all that is stored about one person, and revoke what they have connected."""
    from gateway.cli.accounts import erase

    identity = Identity(channel, tenant, user)
    if not yes:
        typer.confirm(f"Remove all that is stored about {identity}? It cannot be brought back.", abort=True, err=True)
    _print(asyncio.run(erase(identity)))


@app.command()
def serve(
    target: Target,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = LOOPBACK,
    port: Port = 8000,
) -> None:
    """Serve the gateway of a file."""
    configure_logging()
    from gateway.app.server import serve as serve_gateway
    from gateway.configuration.loader import load_gateway

    gateway = load_gateway(target)
    if "web" in gateway.interfaces:
        raise SettingError("The web chat runs in `understudy dev` alone: take it out of the interfaces.")

    def ready() -> None:
        _print(f"Understudy serves {target} on http://{host}:{port}")
        for channel, interface in gateway.interfaces.items():
            address = f"{gateway.base_url or '(UNDERSTUDY_BASE_URL is not set)'}{interface.address}"
            _print(f"  {channel:<10} {address}")
        if gateway.needs_workers:
            _print(f"  It takes messages; start `understudy worker {target}` to have them answered.")

    serve_gateway(gateway, host, port, ready)
    _print("Stopped.")


@app.command()
def worker(target: Target) -> None:
    """Play the messages that `understudy serve` takes, on PostgreSQL: any number of both, on any number of hosts."""
    configure_logging()
    from gateway.app.server import work
    from gateway.configuration.loader import load_gateway

    work(load_gateway(target), lambda: _print(f"Understudy plays the messages of {target}"))
    _print("Stopped.")


@db.command("upgrade")
def db_upgrade() -> None:
    """Make the database that UNDERSTUDY_DATABASE_URL names, or bring its schema up to date."""
    from gateway.settings import GatewaySettings
    from gateway.storage.connect import connect

    asyncio.run(connect(GatewaySettings().database_url).upgrade())
    _print("The database is up to date.")


@db.command("copy")
def db_copy(
    source: Annotated[str, typer.Argument(help="Like sqlite:///understudy.db. No gateway may run on it meanwhile.")],
    target: Annotated[str, typer.Argument(help="Like postgresql://user:password@host/understudy. It has to be empty.")],
) -> None:
    """Copy all that is stored to another database, as from SQLite to PostgreSQL."""
    from gateway.operations.copying import copy_database

    copied = asyncio.run(copy_database(source, target))
    for table, rows in copied.items():
        _print(f"  {table:<22} {rows}")
    _print("Copied. Set UNDERSTUDY_DATABASE_URL to the second address, and keep UNDERSTUDY_SECRET_KEY.")


@app.command()
def send(
    target: Target,
    channel: Annotated[str, typer.Argument(help="Like slack.")],
    tenant: Annotated[str, typer.Argument(help="The workspace, the bot's id, or the number that people write to.")],
    conversation: Annotated[str, typer.Argument(help="The conversation, as `understudy audit` shows it.")],
    text: Annotated[str, typer.Argument(help="What is sent, in markdown.")],
    at: Annotated[datetime | None, typer.Option(help="When, in UTC; now, unless given.")] = None,
    key: Annotated[str | None, typer.Option(help="Of what is sent under one key, only the first is.")] = None,
    shared: Annotated[bool, typer.Option(help="A conversation that was not heard of yet has several people.")] = False,
) -> None:
    """Write to a conversation first, or later. The gateway, or a worker, has to run to send it."""
    from gateway.configuration.loader import load_gateway
    from toolkits import Conversation

    gateway, where = load_gateway(target), Conversation(channel, tenant, conversation, shared)
    when = (at.replace(tzinfo=UTC) if at.tzinfo is None else at) if at is not None else datetime.now(UTC)

    async def store() -> str | None:
        async with gateway.alongside():
            return await gateway.send(where, text, at=when, key=key)

    reference = asyncio.run(store())
    _print(f"Stored (reference {reference})." if reference else f"Something was sent under the key {key!r} before.")


@deadletters.command("list")
def deadletters_list(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all that is stored.")] = False,
) -> None:
    """List what was given up: messages (m…) and deliveries (d…), oldest first."""
    from gateway.cli.dead_letters import print_all

    asyncio.run(print_all(limit, as_json=as_json))


@deadletters.command("show")
def deadletters_show(name: Annotated[str, typer.Argument(metavar="ID", help="An id or a reference.")]) -> None:
    """Show all that is stored of one, what a person wrote included."""
    from gateway.cli.dead_letters import print_one

    asyncio.run(print_one(name))


@deadletters.command("retry")
def deadletters_retry(names: Names = None, every: Every = False) -> None:
    """Have them tried again."""
    from gateway.cli.dead_letters import retry

    _print(asyncio.run(retry(names or [], every=every)))


@deadletters.command("drop")
def deadletters_drop(names: Names = None, every: Every = False) -> None:
    """Take them off the list."""
    from gateway.cli.dead_letters import drop

    _print(asyncio.run(drop(names or [], every=every)))


@app.command()
def dev(port: Port = 8000) -> None:
    """Run the demonstration agent with a web chat, with no account anywhere."""
    configure_logging()
    from gateway.app.gateway import Gateway
    from gateway.app.server import serve as serve_gateway
    from gateway.channels.discovery import load_interface
    from gateway.demo import demo_agent, offline_model
    from oauth.google import GoogleAuth
    from toolkits import Toolkit
    from toolkits.google import Gmail

    DEV_DIRECTORY.mkdir(exist_ok=True)
    database = os.environ.get("UNDERSTUDY_DATABASE_URL") or f"sqlite:///{DEV_DATABASE}"
    if not database.startswith("sqlite"):
        raise SettingError(
            "UNDERSTUDY_DATABASE_URL names a database in which workers play messages, and the web chat shows what "
            "happens in this process alone: unset it for `understudy dev`, or name a SQLite file."
        )
    model = os.environ.get("UNDERSTUDY_MODEL")
    toolkits: list[Toolkit] = [Gmail()] if GoogleAuth.configured() else []
    web = load_interface("web")()
    gateway = Gateway(
        demo_agent(model or offline_model(), DEV_DIRECTORY, toolkits),
        [web],
        database=database,
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


@app.command()
def check(target: Target) -> None:
    """Hunt for leaks between people. It calls every tool with made-up arguments, and reaches no other machine."""
    from gateway.app.gateway import Gateway
    from gateway.check.blocking import hunt_and_wait, leave
    from gateway.configuration.loader import load_target

    found = load_target(target)
    reports = [hunt_and_wait(agent) for agent in (found.agents if isinstance(found, Gateway) else [found])]
    for report in reports:
        typer.echo(report)
    if not any(report.turns for report in reports):
        leave(2)
    leave(1 if any(report.leaks for report in reports) else 0)


@app.command()
def audit(
    channel: Annotated[str | None, typer.Option(help="Only of this channel, like slack.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this workspace, bot or number.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of the person with this id.")] = None,
    account: Annotated[str | None, typer.Option(help="Only what acted as this account.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only calls of this tool.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Only in the conversation with this id.")] = None,
    outcome: Annotated[ToolOutcome | None, typer.Option(help="Only calls that ended so.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only of the turn with this reference.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what started then or later, in UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with all that is recorded.")] = False,
) -> None:
    """List who acted as whom: one line per tool call, oldest first. The gateway may run meanwhile."""
    from gateway.cli.audit import print_records

    wanted = {"channel": channel, "tenant": tenant, "user_id": user, "account": account, "tool": tool}
    wanted |= {"conversation": conversation, "outcome": outcome, "trace_id": trace}
    since = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    asyncio.run(print_records(wanted, since, limit, as_json=as_json))


def _print(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _dev_key() -> str:
    """A key of this directory's own, so that what `dev` stored can be read after a restart."""
    path = DEV_DIRECTORY / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Keyring.generate())
    return path.read_text()
