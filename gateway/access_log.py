"""A logging filter that keeps the secrets in request addresses out of a server's access log."""

import copy
import logging
import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(r"((?<![\w-])(?:code|state)=)[^&\s\"']+|(/(?:files|uploads|sign-in)/)[^/?\s\"']+")


class CallbackFilter(logging.Filter):
    """A filter that masks the secrets in the addresses of sign-in links, OAuth callbacks and files.

    If an application runs its own server, add the filter to the access logger of that server: `uvicorn.access`,
    `gunicorn.access` or `hypercorn.access`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_secrets(record.msg)
        if isinstance(record.args, Mapping):
            args: Any = copy.copy(record.args)  # keeps its type: gunicorn and hypercorn have their own mappings
            args.update({name: _without_secrets(value) for name, value in record.args.items()})
            record.args = args
        elif record.args is not None:
            record.args = tuple(map(_without_secrets, record.args))
        return True


def _without_secrets(value: Any) -> Any:
    return _SECRET.sub(r"\1\2***", value) if isinstance(value, str) else value
