"""Arguments and options that several commands take."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

LOOPBACK = "127.0.0.1"

Target = Annotated[
    str,
    typer.Argument(
        metavar="FILE[:NAME]", help="A Python file with a Gateway or an Agent, or a YAML file that describes a gateway."
    ),
]
ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="The YAML file, for example gateway.yaml.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(envvar="PORT", min=1, max=65535, help="The port to listen on.")]

Channel = Annotated[str, typer.Argument(help="The channel, for example slack or slack.sales.")]
Tenant = Annotated[str, typer.Argument(help="The Slack workspace, the Telegram bot's id or the WhatsApp number.")]
User = Annotated[str, typer.Argument(help="The person's id on the channel.")]
ConversationId = Annotated[str, typer.Argument(help="The conversation's id, as `understudy audit` shows it.")]
Provider = Annotated[str, typer.Argument(help="The provider, for example google.")]

OfChannel = Annotated[str | None, typer.Option(help="Only this channel, for example slack or slack.sales.")]
OfTenant = Annotated[str | None, typer.Option(help="Only this Slack workspace, Telegram bot or WhatsApp number.")]
OfUser = Annotated[str | None, typer.Option(help="Only the person with this id.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, with every field.")]
WithContent = Annotated[
    bool, typer.Option("--content", help="Also show what people wrote. The audit records that you did.")
]
Limit = Annotated[int, typer.Option(min=1, help="List at most this many: the newest.")]


def in_utc(time: datetime | None) -> datetime | None:
    """Return the time that an option gives; without a time zone, it is in UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
