"""A filter that keeps the secrets in addresses out of the access log of any server."""

import copy
import logging
import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(r"((?<![\w-])(?:code|state)=)[^&\s\"']+|(/(?:files|uploads|sign-in)/)[^/?\s\"']+")


class CallbackFilter(logging.Filter):
    """A filter that masks secrets in an access log: of sign-in links, of their callbacks, and of files.

    Add it to the logger of the server that an application runs itself, like `uvicorn.access`, `gunicorn.access` or
    `hypercorn.access`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_secrets(record.msg)
        if isinstance(record.args, Mapping):
            args: Any = copy.copy(record.args)  # gunicorn and hypercorn use mapping types of their own
            args.update({name: _without_secrets(value) for name, value in record.args.items()})
            record.args = args
        elif record.args is not None:
            record.args = tuple(map(_without_secrets, record.args))
        return True


def _without_secrets(value: Any) -> Any:
    return _SECRET.sub(r"\1\2***", value) if isinstance(value, str) else value
