"""Copy the attributes of a toolkit or an agent for one turn, and check that the copy shares nothing by mistake."""

from toolkits.cloning.copying import clone_attributes, deep_copy
from toolkits.cloning.declarations import INTERNAL, check_names
from toolkits.cloning.errors import CLONE, CloneError
from toolkits.cloning.sharing import check_nothing_shared
from toolkits.cloning.special import Special, prepare, special_objects

__all__ = [
    "CLONE",
    "INTERNAL",
    "CloneError",
    "Special",
    "check_names",
    "check_nothing_shared",
    "clone_attributes",
    "deep_copy",
    "prepare",
    "special_objects",
]
