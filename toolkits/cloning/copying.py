"""Copy the attributes of an object, one by one."""

import copy
from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

from toolkits.cloning.declarations import INTERNAL
from toolkits.cloning.errors import CloneError, cannot_copy
from toolkits.cloning.special import Special, prepare, special_objects
from toolkits.paths import MISSING, attributes


def deep_copy(owner: object, attribute: str, value: Any, memo: dict[int, Any]) -> Any:
    """Copy the value of one attribute of `owner`.

    Raises:
        CloneError: if the value cannot be copied, whatever exception the copy raised.
    """
    if type(value) is object or isinstance(value, ModuleType):  # a sentinel is compared by identity
        return value
    try:
        return copy.deepcopy(value, memo)
    except CloneError:
        raise
    except Exception as error:
        raise cannot_copy(owner, attribute, [value], error) from error


def clone_attributes(
    source: object,
    target: object,
    *,
    reset: Mapping[str, Any],
    shared: Collection[str],
    specials: Sequence[Special] | None = None,
    skip: Collection[str] = INTERNAL,
) -> None:
    """Give `target` the attributes of `source`: reset, shared by reference, or copied.

    Args:
        reset: initial values, of which `target` gets a fresh copy; `MISSING` for an attribute that did not exist.
        shared: names of attributes that are shared on purpose.
        specials: the `special_objects` of these values, if they are known already.
        skip: names of attributes that `target` makes for itself.

    Raises:
        CloneError: naming the attribute that cannot be copied.
    """
    values = attributes(source)
    memo: dict[int, Any] = {id(source): target}
    memo |= {id(values[name]): values[name] for name in shared if name in values}
    copied = {name: value for name, value in {**values, **reset}.items() if name not in skip and value is not MISSING}
    prepare(source, memo, special_objects(copied, shared) if specials is None else specials)
    for name, value in copied.items():
        object.__setattr__(target, name, value if name in shared else deep_copy(source, name, value, memo))
