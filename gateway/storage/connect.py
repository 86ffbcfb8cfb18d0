"""Choose the database class for a database URL."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.storage.database import Database, environment_origin
from gateway.storage.schema import SCHEMA, Schema
from oauth import SettingError
from oauth.extras import extra_needed


def connect(url: str, origin: str | None = None, schema: Schema = SCHEMA) -> Database:
    """Return the database that a URL names. It is not open yet.

    Args:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host/name`.
        origin: where it is configured, for error messages; the environment, unless given.
        schema: the schema that the code needs.

    Raises:
        SettingError: if the URL is malformed, or names another kind of database.
    """
    origin = origin or environment_origin()
    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        raise SettingError(  # without the URL, which may contain a password
            f"The URL of the database ({origin}) is malformed: "
            "it must be like sqlite:///understudy.db or postgresql://user:password@host/understudy."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        from gateway.storage.sqlite import SQLiteDatabase

        return SQLiteDatabase(parsed, origin, schema)
    if backend in ("postgresql", "postgres"):
        with extra_needed("postgres", f"The database ({origin})"):
            from gateway.storage.postgres import PostgresDatabase

        return PostgresDatabase(parsed, origin, schema=schema)
    raise SettingError(
        f"The URL of the database ({origin}) names a {backend} database, which is not supported: "
        "use one like sqlite:///understudy.db or postgresql://user:password@host/understudy."
    )
