"""What the end of a turn is written to."""

from dataclasses import dataclass

from gateway.history.sessions import Sessions
from gateway.inbox.inbox import Inbox
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """The database, and those that write its tables in one transaction: messages in, messages out and sessions."""

    database: Database
    inbox: Inbox
    outbox: Outbox
    sessions: Sessions
