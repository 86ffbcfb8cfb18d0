"""SQLite files whose schema is up to date: a copy costs a hundredth of what the migrations cost."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine

from gateway.storage.schema import migrate


def make_migrated(path: Path) -> None:
    """Make a file with our tables, unless there is one."""
    if not path.exists():
        path.write_bytes(_template())


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "template.db"
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        return path.read_bytes()
