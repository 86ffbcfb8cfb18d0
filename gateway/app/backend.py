"""Choose the database of a gateway, and the dispatcher and the pubsub that belong to it."""

from dataclasses import dataclass

from gateway.inbox.dispatch import Dispatcher
from gateway.inbox.embedded import EmbeddedDispatcher
from gateway.pubsub.pubsub import PubSub
from gateway.settings import GatewaySettings
from gateway.storage.connect import connect
from gateway.storage.database import Database
from gateway.timings import Timings


@dataclass(frozen=True, slots=True)
class Backend:
    """A database, and the dispatcher and pubsub that belong to it."""

    database: Database
    dispatcher: Dispatcher
    pubsub: PubSub


def choose_backend(
    settings: GatewaySettings, max_concurrent_turns: int, timings: Timings, origin: str | None
) -> Backend:
    """Return the backend for the URL of the database, without opening it.

    On SQLite, this process plays the turns; on PostgreSQL, workers do.

    Args:
        max_concurrent_turns: how many turns run at once in this process.
        origin: where the URL is configured; `None` for the environment.

    Raises:
        SettingError: if the address is neither of SQLite nor of PostgreSQL.
    """
    database = connect(settings.database_url, origin)
    if not database.shared:
        return Backend(database, EmbeddedDispatcher(max_concurrent_turns, timings), PubSub())
    # Imported here, because only PostgreSQL needs their libraries.
    from gateway.inbox.distributed import DistributedDispatcher
    from gateway.pubsub.postgres import PostgresPubSub
    from gateway.storage.postgres import PostgresDatabase

    assert isinstance(database, PostgresDatabase)
    dispatcher = DistributedDispatcher(database, max_concurrent_turns, settings.takeover_seconds, timings)
    return Backend(database, dispatcher, PostgresPubSub(database, timings))
