import gc
from types import FunctionType, ModuleType
from typing import Any


def reachable(root: Any) -> list[Any]:
    """What hangs on an object; not classes and modules, nor the globals of a function, which are its module's."""
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
