"""The tables of `oauth`, and the columns that each ciphertext is bound to."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ColumnElement, Integer, LargeBinary, MetaData, Row, String, Table, Text, and_

from oauth.identity import Identity
from oauth.store.columns import Timestamp

metadata = MetaData()


class PendingStatus(StrEnum):
    """The status of a token that waits for a code."""

    #: The person in the chat has not sent the code yet.
    WAITING = "waiting"
    #: The person has sent the code, and the account is connected. The row stays until it expires, so that the same
    #: code, sent again, does not count as a wrong one.
    CONFIRMED = "confirmed"


oauth_tokens = Table(
    "oauth_tokens",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("provider", String, primary_key=True),
    Column("ciphertext", LargeBinary, nullable=False),
    # Null where an older version stored the token.
    Column("account", String),
    Column("connected_at", Timestamp),
    Column("updated_at", Timestamp, nullable=False),
    # The end of the lease of the process that refreshes the token.
    Column("refreshing_until", Timestamp),
)

# Authorizations that have begun. The callback deletes the row, so that a state can be used only once.
oauth_authorizations = Table(
    "oauth_authorizations",
    metadata,
    Column("id", String, primary_key=True),
    Column("provider", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("user_id", String, nullable=False),
    # The person's name as the channel shows it.
    Column("name", String, nullable=False, server_default=""),
    # The scopes that the person is asked for.
    Column("scopes", Text, nullable=False, server_default=""),
    Column("verifier_ciphertext", LargeBinary, nullable=False),
    Column("expires_at", Timestamp, nullable=False, index=True),
)

# Tokens that nobody may use until a code has proved that the person in the chat is the person in the browser.
oauth_pending = Table(
    "oauth_pending",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("provider", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("status", String, nullable=False),
    # The token and the code.
    Column("ciphertext", LargeBinary, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("expires_at", Timestamp, nullable=False, index=True),
)

# Tokens that nobody uses any more and that their provider has yet to revoke.
oauth_revocations = Table(
    "oauth_revocations",
    metadata,
    Column("id", String, primary_key=True),
    Column("provider", String, nullable=False),
    Column("account", String, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Timestamp, nullable=False, index=True),
)

# The people whose accounts are not used until an operator decides.
oauth_suspensions = Table(
    "oauth_suspensions",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("suspended_at", Timestamp, nullable=False),
)

# The workspaces, or whole organizations, that installed an app.
oauth_installations = Table(
    "oauth_installations",
    metadata,
    Column("channel", String, primary_key=True),
    Column("tenant", String, primary_key=True),
    # The bot's tokens and user id; or the organization whose installation the workspace uses.
    Column("ciphertext", LargeBinary, nullable=False),
    Column("installed_at", Timestamp, nullable=False),
    # The end of the lease of the process that refreshes the bot token.
    Column("refreshing_until", Timestamp),
)

# The column with the ciphertext, and the columns that it is bound to: in another row, it cannot be decrypted.
SEALED: Mapping[Table, tuple[str, tuple[str, ...]]] = {
    oauth_tokens: ("ciphertext", ("channel", "tenant", "user_id", "provider")),
    oauth_authorizations: ("verifier_ciphertext", ("id", "provider", "channel", "tenant", "user_id")),
    oauth_pending: ("ciphertext", ("channel", "tenant", "user_id", "provider")),
    oauth_revocations: ("ciphertext", ("id", "provider")),
    oauth_installations: ("ciphertext", ("channel", "tenant")),
}


def associated(table: Table, values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the associated data of a row's ciphertext."""
    _, names = SEALED[table]
    return (table.name, *(values[name] for name in names))


def is_row(table: Table, row: Row[Any]) -> ColumnElement[bool]:
    """Return the condition that selects a row by its primary key."""
    return and_(*(key == row._asdict()[key.name] for key in table.primary_key))


def is_of(table: Table, identity: Identity) -> ColumnElement[bool]:
    """Return the condition that selects the rows of a person."""
    return and_(*(table.c[name] == value for name, value in asdict(identity).items()))
