"""Connections to PostgreSQL that close themselves when the server does not answer."""

from collections.abc import AsyncGenerator
from typing import Any, Self

from psycopg import AsyncConnection, Error, Notify, OperationalError
from psycopg.abc import RV, PQGen
from psycopg.errors import _WaitTimeout

FOREVER = 365 * 24 * 3600.0  # seconds


class PostgresConnection(AsyncConnection[Any]):
    """A connection with a time limit for every statement. Its errors do not quote stored values.

    Keepalives and `tcp_user_timeout` close a connection whose packets are lost. They do not help if a kernel or a proxy
    acknowledges packets that the server never reads. So the connection closes itself when an answer takes too long;
    SQLAlchemy and psycopg's pool replace it.
    """

    _answer_timeout: float | None = None

    @classmethod
    async def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, answer_timeout: float | None = None, **options: Any
    ) -> Self:
        """Open a connection, with the arguments of `psycopg.AsyncConnection.connect`.

        Args:
            answer_timeout: seconds that a statement may take; `None` for no limit.
        """
        connection = await super().connect(conninfo, **options)
        connection._answer_timeout = answer_timeout
        return connection

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:  # noqa: ASYNC109
        """Send a request to the server and wait for the answer.

        Raises:
            OperationalError: if the answer takes too long. The connection is closed then.
        """
        limit = self._answer_timeout
        try:
            return await super().wait(gen, interval, limit if timeout is None else timeout)
        except _WaitTimeout:
            if timeout is not None:  # the caller's own limit
                raise
            self.pgconn.finish()
            raise OperationalError(f"the server did not answer within {limit} s") from None
        except Error as error:
            # Leave out DETAIL and CONTEXT: they quote the values of a row, for instance what people wrote.
            if error.diag.message_primary is not None:
                error.args = (error.diag.message_primary,)
            raise

    def notifies(self, *, timeout: float | None = None, stop_after: int | None = None) -> AsyncGenerator[Notify]:
        """Yield notifications. The time limit of statements does not apply."""
        return super().notifies(timeout=FOREVER if timeout is None else timeout, stop_after=stop_after)
