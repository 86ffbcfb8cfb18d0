"""Check that a clone shares nothing by mistake."""

from collections.abc import Collection

from toolkits.cloning.declarations import INTERNAL, check_names
from toolkits.cloning.errors import CloneError, place
from toolkits.cloning.immutable import Cloneable, is_immutable
from toolkits.cloning.walking import walk
from toolkits.paths import attributes


def check_nothing_shared(
    source: object, target: object, shared: Collection[str], skip: Collection[str] = INTERNAL
) -> None:
    """Check that a clone and its template have no mutable object in common, except what is shared on purpose.

    Args:
        source, target: the template and its clone.
        shared: names of attributes that are shared on purpose.
        skip: names of attributes that are not checked.

    Raises:
        CloneError: naming the attribute through which they share an object.
    """
    originals = {name: value for name, value in attributes(source).items() if name not in skip}
    permitted = {id(value) for name, value in originals.items() if name in shared}
    reachable = {id(source)}
    for value in originals.values():
        for found, _ in walk(value, permitted):
            reachable.add(id(found))
            if isinstance(found, Cloneable):
                check_names(found)
    for name, value in attributes(target).items():
        if name in skip:
            continue
        for found, chain in walk(value, permitted):
            if id(found) in reachable and not is_immutable(found):
                reason = f"{place(name, chain())}it would share a {type(found).__name__!r} between people"
                raise CloneError(source, name, reason)
