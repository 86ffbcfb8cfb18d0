"""The files of a SQLite database: the lock for the process that uses them, and their permissions."""

import errno
import fcntl
import logging
import os
from pathlib import Path

from gateway.private_files import PRIVATE, is_open
from gateway.storage.database import origin_clause
from oauth import SettingError

log = logging.getLogger(__name__)


class SQLiteFile:
    """The file of a database, and the files that SQLite and the gateway keep beside it."""

    def __init__(self, path: Path, origin: str) -> None:
        self.path = path
        self._origin = origin  # where it is configured
        self._lock: int | None = None  # a file descriptor

    def check_exists(self) -> None:
        """Check that the file exists.

        Raises:
            SettingError: if it does not.
        """
        if not self.path.is_file():
            raise SettingError(
                f"{origin_clause(self._origin, self.path)}, which does not exist. Run the command in the folder of the "
                "gateway, or set UNDERSTUDY_DATABASE_URL to its database."
            )

    def lock(self) -> None:
        """Lock the database for this process, with a lock file beside it.

        Raises:
            SettingError: if another process has the lock, or the lock file cannot be opened.
        """
        path = self._beside(".lock")
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise SettingError(f"{path} is a symbolic link, but must be a plain file: remove the link.") from None
            raise self._cannot_be_opened(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SettingError(
                f"{origin_clause(self._origin, self.path)}, which another understudy process has open: "
                "stop that process, or name another file."
            ) from None
        self._lock = lock

    def unlock(self) -> None:
        """Release the lock, if this process holds it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def make_private(self) -> None:
        """Create the database file if it is missing, and make all files of the database readable only by their owner.

        SQLite creates its other files with the mode of the database file.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
        except OSError as error:
            raise self._cannot_be_opened(error) from None
        for path in map(self._beside, ("", "-wal", "-shm", ".lock")):
            try:
                if is_open(path.lstat().st_mode):
                    path.chmod(PRIVATE)
            except FileNotFoundError:
                continue
            except PermissionError:
                log.warning(
                    "other users can read %s, which belongs to another user: have its owner set its mode to 600", path
                )

    def _beside(self, suffix: str) -> Path:
        """Return the path of one of the database's files. SQLite puts them beside the target of a symbolic link."""
        path = self.path.resolve()
        return path.with_name(path.name + suffix)

    def _cannot_be_opened(self, error: OSError) -> SettingError:
        return SettingError(f"{origin_clause(self._origin, self.path)}, which cannot be opened: {error.strerror}.")
