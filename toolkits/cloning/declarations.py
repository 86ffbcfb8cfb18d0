"""The declarations of a class about the attributes of its clones."""

import inspect

from toolkits.cloning.errors import RESET_ATTRS, SHARED_ATTRS, CloneError
from toolkits.paths import attributes

INTERNAL = ("_functions", "_initial_values", "_special_objects")  # a toolkit's own bookkeeping, new in each clone


def check_names(owner: object) -> None:
    """Check that the declarations of an object are collections of names, and name only attributes that it has.

    Raises:
        CloneError: naming the declaration, and the name that is not an attribute.
    """
    cls = type(owner)
    annotated = {name for each in cls.__mro__ for name in inspect.get_annotations(each)}
    known = [*attributes(owner), *annotated, *dir(cls)]
    for declaration in (RESET_ATTRS, SHARED_ATTRS):
        names = getattr(owner, declaration, ())
        if isinstance(names, str):
            raise CloneError(owner, declaration, f"{names!r} is a string, not a collection of names")
        for name in names:
            if name not in known:
                raise CloneError(owner, declaration, f"{cls.__name__} has no attribute {name!r}")
