import copy
import logging
import re
from collections.abc import Mapping
from typing import Any

_SECRET = re.compile(r"(?<![\w-])((?:code|state)=)[^&\s\"']+")


class CallbackFilter(logging.Filter):
    """Takes the code and the state of OAuth callbacks out of a server's access log.

    It is for the logger of an application's own server, like `uvicorn.access`, `gunicorn.access` or `hypercorn.access`.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_secrets(record.msg)
        if isinstance(record.args, Mapping):
            args: Any = copy.copy(record.args)  # gunicorn's and hypercorn's have a way of their own to look up names
            args.update({name: _without_secrets(value) for name, value in record.args.items()})
            record.args = args
        elif record.args is not None:
            record.args = tuple(map(_without_secrets, record.args))
        return True


def _without_secrets(value: Any) -> Any:
    return _SECRET.sub(r"\1***", value) if isinstance(value, str) else value
