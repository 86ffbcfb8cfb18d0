"""What the end of a turn is written to."""

from dataclasses import dataclass

from gateway.history.sessions import Sessions
from gateway.inbox.inbox import Inbox
from gateway.outbox.delivery import Deliverer
from gateway.outbox.outbox import Outbox
from gateway.storage.database import Database
from gateway.storage.files import FileStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The database, and the parts that write to it in the transaction that ends a turn."""

    database: Database
    inbox: Inbox
    outbox: Outbox
    deliverer: Deliverer
    sessions: Sessions
    files: FileStore
