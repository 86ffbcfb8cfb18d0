"""Databases as earlier versions of the gateway left them, for tests of migrations."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, create_engine, func, select, text

from gateway.storage.schema import SCHEMA


def copy_to_older(url: str, older_url: str, revision: str) -> None:
    """Create the schema of an earlier revision in an empty database, and copy what it has room for.

    The columns that both schemas have are copied. What a migration moves from one table to another is left to the test.

    Args:
        url: the URL of a database with the current schema, which no gateway has open.
        older_url: the URL of an empty database.
        revision: the number of the last migration of the earlier schema, like "0014".
    """
    source, target = _engine(url), _engine(older_url)
    with source.connect() as reading, target.begin() as writing:
        config = Config()
        config.set_main_option("script_location", str(SCHEMA.migrations))
        config.attributes["connection"] = writing
        command.upgrade(config, revision)
        current, older = MetaData(), MetaData()
        current.reflect(reading)
        older.reflect(writing)
        for table in older.sorted_tables:
            newer = current.tables.get(table.name)
            if newer is None or table.name == "alembic_version" or table.name.startswith("procrastinate_"):
                continue
            shared = [column.name for column in table.columns if column.name in newer.columns]
            rows = reading.execute(select(*(newer.c[name] for name in shared))).mappings().all()
            if rows:
                writing.execute(table.insert(), [dict(row) for row in rows])
            if writing.dialect.name == "postgresql" and "id" in table.c:
                _continue_numbering(writing, table.name)
    source.dispose()
    target.dispose()


def _engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"))


def _continue_numbering(connection: Connection, table: str) -> None:
    if (sequence := connection.scalar(select(func.pg_get_serial_sequence(table, "id")))) is not None:
        connection.execute(text(f"SELECT setval('{sequence}', coalesce((SELECT max(id) FROM {table}), 1))"))
