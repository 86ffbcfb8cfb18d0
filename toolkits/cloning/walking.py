"""Walk through all objects that an object holds."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from toolkits.cloning.immutable import children, is_atom
from toolkits.paths import MISSING


def walk(
    root: Any, permitted: Collection[int], *, atoms: bool = False
) -> Iterator[tuple[Any, Callable[[], list[Any]]]]:
    """Yield an object and all that it holds, each with a function that returns the chain of objects that leads to it.

    Args:
        permitted: the ids of objects to leave out, with what they hold.
        atoms: also yield objects that cannot change, nor hold anything that can (`is_atom`).
    """
    parents: dict[int, tuple[Any, Any]] = {}
    pending: list[tuple[Any, Any]] = [(root, MISSING)]

    def chain_of(value: Any) -> list[Any]:
        chain = [value]
        while (parent := parents[id(chain[-1])][1]) is not MISSING:
            chain.append(parent)
        return chain[::-1]

    while pending:
        found, parent = pending.pop()
        if id(found) in parents or id(found) in permitted or (is_atom(found) and not atoms):
            continue
        parents[id(found)] = (found, parent)
        yield found, lambda found=found: chain_of(found)  # type: ignore[misc]
        if not is_atom(found):
            pending.extend((child, found) for child in children(found))
