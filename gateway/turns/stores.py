"""The stores to which turns are written."""

from dataclasses import dataclass

from gateway.history.sessions import Sessions
from gateway.inbox.inbox import Inbox
from gateway.outbox.delivery import Deliverer
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from gateway.storage.files import FileStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The database, and the parts of the gateway that write to it when a turn ends."""

    database: Database
    inbox: Inbox
    outbox: Outbox
    deliverer: Deliverer
    sessions: Sessions
    files: FileStore
