"""Choose the database class for a database URL."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gateway.storage.database import URL_SETTING, Database
from oauth import SettingError


def connect(url: str) -> Database:
    """Return the database that a URL names. It is not open yet.

    Args:
        url: `sqlite:///relative/path`, `sqlite:////absolute/path` or `postgresql://user:password@host/name`.

    Raises:
        SettingError: if the URL is malformed, or names another kind of database.
    """
    from gateway.storage.postgres import PostgresDatabase
    from gateway.storage.sqlite import SQLiteDatabase

    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        raise SettingError(  # without the URL, which may contain a password
            f"{URL_SETTING} is malformed: it must be like sqlite:///understudy.db or postgresql://user:password@host/understudy."
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return SQLiteDatabase(parsed)
    if backend in ("postgresql", "postgres"):
        return PostgresDatabase(parsed)
    raise SettingError(
        f"{URL_SETTING} names a {backend} database, which is not supported: "
        "use one like sqlite:///understudy.db or postgresql://user:password@host/understudy."
    )
