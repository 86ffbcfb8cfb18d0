"""SQLite files with the newest schema. Copying such a file takes a hundredth of the time of its migrations."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine

from gateway.storage.schema import SCHEMA


def make_migrated(path: Path) -> None:
    """Create a SQLite file with the gateway's tables, unless the file exists."""
    if not path.exists():
        path.write_bytes(_template())


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            SCHEMA.migrate(connection)
        engine.dispose()
        return path.read_bytes()
