"""Objects that `copy.deepcopy` cannot copy by itself: read-only views, jinja2 templates, objects that copies share."""

import copy
import gc
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MappingProxyType
from typing import Any

from toolkits.cloning.errors import CloneError, cannot_copy
from toolkits.cloning.immutable import is_jinja, is_shared_in_copies
from toolkits.cloning.walking import walk


@dataclass(frozen=True, slots=True)
class Special:
    """An object that has to be prepared for a deep copy, with the chain of objects from an attribute's value to it."""

    attribute: str
    chain: Sequence[Any]

    @property
    def value(self) -> Any:
        return self.chain[-1]


def special_objects(values: Mapping[str, Any], shared: Collection[str]) -> list[Special]:
    """Return the objects in attributes that `prepare` has to copy, inner ones before those that hold them.

    Args:
        values: the attributes.
        shared: the names of attributes to leave out.
    """
    permitted = {id(values[name]) for name in shared if name in values}
    found: dict[int, Special] = {}
    for name, root in values.items():
        for value, chain in walk(root, permitted, atoms=True) if name not in shared else ():
            if _is_special(value):
                found[id(value)] = Special(name, chain())

    def count_inner(special: Special) -> int:
        return sum(1 for inner, _ in walk(special.value, permitted, atoms=True) if _is_special(inner))

    return sorted(found.values(), key=count_inner)


def prepare(owner: object, memo: dict[int, Any], specials: Sequence[Special]) -> None:
    """Put special objects into the memo of a deep copy: a copy of each or, if copies share it, the object itself.

    Raises:
        CloneError: naming the attribute of `owner` whose object cannot be copied.
    """
    memo |= {id(special.value): special.value for special in specials if is_shared_in_copies(special.value)}
    for special in specials:
        copier = _copier(special.value)
        if copier is not None and id(special.value) not in memo:
            try:
                copier(special.value, memo)
            except CloneError:
                raise
            except Exception as error:
                raise cannot_copy(owner, special.attribute, special.chain, error) from error


def _is_special(value: Any) -> bool:
    return is_shared_in_copies(value) or _copier(value) is not None


def _copier(value: Any) -> Callable[[Any, dict[int, Any]], None] | None:
    if isinstance(value, MappingProxyType):
        return _copy_proxy
    if is_jinja(value, "Environment"):
        return _copy_environment
    return _copy_template if is_jinja(value, "Template") else None


def _copy_proxy(proxy: MappingProxyType[Any, Any], memo: dict[int, Any]) -> None:
    memo[id(proxy)] = MappingProxyType(copy.deepcopy(gc.get_referents(proxy)[0], memo))


def _copy_environment(environment: Any, memo: dict[int, Any]) -> None:
    from jinja2.environment import copy_cache

    memo[id(environment.cache)] = copy_cache(environment.cache)  # empty: the cache holds the original's templates


def _copy_template(template: Any, memo: dict[int, Any]) -> None:
    """Copy a template and its compiled functions, in which its environment is the default of an argument."""
    copied = memo[id(template)] = object.__new__(type(template))
    environment = copy.deepcopy(template.environment, memo)

    def bound(function: FunctionType) -> FunctionType:
        defaults = [environment if each is template.environment else each for each in function.__defaults__ or ()]
        return FunctionType(function.__code__, function.__globals__, function.__name__, tuple(defaults))

    for name, value in vars(template).items():
        if name == "root_render_func":
            copied.root_render_func = bound(value)
        elif name == "blocks":
            copied.blocks = {block: bound(function) for block, function in value.items()}
        elif name == "_uptodate":  # a function of the loader; a template works without it
            copied._uptodate = None
        else:
            setattr(copied, name, copy.deepcopy(value, memo))
