"""Find the objects that an object keeps alive."""

import gc
from types import FunctionType, ModuleType
from typing import Any


def reachable(root: Any) -> list[Any]:
    """Return all objects that an object refers to, directly or not.

    Classes, modules and the globals of functions are left out, since they do not belong to the object.
    """
    seen: dict[int, Any] = {}
    pending = [root]
    while pending:
        found = pending.pop()
        if id(found) in seen or isinstance(found, (type, ModuleType)):
            continue
        seen[id(found)] = found
        if isinstance(found, FunctionType):
            pending += [found.__closure__, found.__defaults__, found.__dict__]
        else:
            pending += gc.get_referents(found)
    return list(seen.values())
