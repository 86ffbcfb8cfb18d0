"""Read the settings in the file `.env` of the working directory into the environment."""

import os
import stat
from pathlib import Path

from dotenv.parser import parse_stream

from gateway.cli.terminal import say
from oauth import SettingError

FILE = Path(".env")
OTHERS = 0o077  # the permission bits of other users


def load_environment() -> None:
    """Set each variable of `.env` that the environment does not have. Warn if other users can read the file.

    Values are taken as they are written: `$` has no meaning in them.

    Raises:
        SettingError: if the file cannot be read, or a line of it is not of the form NAME=value.
    """
    try:
        with FILE.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            bindings = list(parse_stream(file))
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingError(f"{FILE} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingError(f"{FILE} is not encoded in UTF-8: save it in that encoding.") from None
    for binding in bindings:
        if binding.error:
            raise SettingError(f"{FILE}:{binding.original.line}: this is not of the form NAME=value: correct the line.")
        if binding.key is not None and binding.value is not None:
            os.environ.setdefault(binding.key, binding.value)
    if stat.S_IMODE(mode) & OTHERS:
        say(f"Other users of this machine can read {FILE}, which may contain secrets: run `chmod 600 {FILE}`.")
