"""The error for an attribute that cannot be cloned, which says where the cause is and what to do."""

import copy
import traceback
from collections.abc import Sequence
from typing import Any

from oauth.errors import UnderstudyError
from toolkits.paths import path

CLONE = "clone()"  # takes the place of an attribute in the error about an overridden `clone`
RESET_ATTRS, SHARED_ATTRS = "_clone_reset_attrs", "_clone_shared_attrs"


class CloneError(UnderstudyError):
    """A toolkit has an attribute that can be neither copied, reset nor shared. The message names both."""

    def __init__(self, owner: object, attribute: str, reason: str) -> None:
        name = type(owner).__name__
        if attribute == CLONE:
            found = f"{name}.clone() is wrong: {reason}"
            advice = "return what super().clone() returns, with your changes, or leave the method out"
        elif attribute in (RESET_ATTRS, SHARED_ATTRS):
            found = f"{name}.{attribute} is wrong: {reason}"
            advice = 'it has to name attributes of the class, in a tuple like ("client",)'
        else:
            found = f"{name}.{attribute} cannot be cloned: {reason}"
            advice = (
                f"either make the value on first use and name {attribute!r} in {name}.{RESET_ATTRS} (with None as its "
                f"first value), or, if all people may use the same object, name it in {name}.{SHARED_ATTRS}"
            )
        super().__init__(f"{found}. Every person gets a copy of {name}, so {advice}.")
        self.owner = name
        self.attribute = attribute


def cannot_copy(owner: object, attribute: str, chain: Sequence[Any], error: Exception) -> CloneError:
    """Return an error that names the object that cannot be copied: the last one that `copy.deepcopy` was called for.

    Args:
        chain: the objects from the attribute's value to the one that should be copied, each held by the one before it.
        error: what `copy.deepcopy` raised.
    """
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    called = [frame.f_locals["x"] for frame in frames if frame.f_code is copy.deepcopy.__code__]
    chain = [*chain, *(called[1:] if called and called[0] is chain[-1] else called)]
    kind = type(chain[-1]).__name__
    return CloneError(owner, attribute, f"{place(attribute, chain)}{kind!r} cannot be copied ({error})")


def place(attribute: str, chain: Sequence[Any]) -> str:
    """Return the place of an object inside an attribute, for an error message; empty for the attribute itself."""
    name = f"self.{attribute}"
    found = path(name, chain)
    return "" if found == name else f"at {found}, "
