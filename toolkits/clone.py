"""Copying an object's state for one turn, and proving that the copy shares nothing it should not."""

import copy
import gc
import inspect
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from oauth.errors import UnderstudyError
from toolkits.immutable import Cloneable, children, is_atom, is_immutable, is_jinja, is_shared_in_copies
from toolkits.paths import MISSING, attributes, path

CLONE = "clone()"  # in place of an attribute, for an overridden method that is wrong

INTERNAL = ("_functions", "_initial_values", "_special_objects")  # what a toolkit keeps for itself and makes anew

RESET_ATTRS, SHARED_ATTRS = "_clone_reset_attrs", "_clone_shared_attrs"


@dataclass(frozen=True, slots=True)
class Special:
    """An object that a deep copy needs prepared, with the chain of objects from an attribute's value to it."""

    attribute: str
    chain: Sequence[Any]

    @property
    def value(self) -> Any:
        return self.chain[-1]


class CloneError(UnderstudyError):
    """A toolkit has an attribute that can be neither copied, reset nor shared. The message names both."""

    def __init__(self, owner: object, attribute: str, reason: str) -> None:
        name = type(owner).__name__
        if attribute == CLONE:
            found = f"{name}.clone() is wrong: {reason}"
            advice = "return what super().clone() returns, with your changes, or leave the method out"
        elif attribute in (RESET_ATTRS, SHARED_ATTRS):
            found = f"{name}.{attribute} is wrong: {reason}"
            advice = 'it has to say which attributes are its own: a tuple of their names, like ("client",)'
        else:
            found = f"{name}.{attribute} cannot be cloned: {reason}"
            advice = (
                f"either make the value on first use and name {attribute!r} in {name}.{RESET_ATTRS} (None being a "
                f"good first value), or, if one object may serve all people, name it in {name}.{SHARED_ATTRS}"
            )
        super().__init__(f"{found}. Every person gets a copy of {name}, so {advice}.")
        self.owner = name
        self.attribute = attribute


def check_names(owner: object) -> None:
    """Check that what an object declares to be reset or shared is a collection of names of its attributes.

    Raises:
        CloneError: naming the declaration, and the name that the object does not have.
    """
    cls = type(owner)
    annotated = {name for each in cls.__mro__ for name in inspect.get_annotations(each)}
    known = [*attributes(owner), *annotated, *dir(cls)]
    for declaration in (RESET_ATTRS, SHARED_ATTRS):
        names = getattr(owner, declaration, ())
        if isinstance(names, str):
            raise CloneError(owner, declaration, f"{names!r} is one string, whose letters are no names")
        for name in names:
            if name not in known:
                raise CloneError(owner, declaration, f"{cls.__name__} has no attribute {name!r}")


def deep_copy(owner: object, attribute: str, value: Any, memo: dict[int, Any]) -> Any:
    """Copies one attribute of `owner`.

    Raises:
        CloneError: if the value says that it cannot be copied, in whatever way it says so.
    """
    if type(value) is object or isinstance(value, ModuleType):  # a sentinel is compared by identity
        return value
    try:
        return copy.deepcopy(value, memo)
    except CloneError:
        raise
    except Exception as error:
        raise _cannot_copy(owner, attribute, [value], error) from error


def special_objects(values: Mapping[str, Any], shared: Collection[str]) -> list[Special]:
    """Return what a deep copy of attributes needs prepared, since `copy.deepcopy` does not know how: see `prepare`.

    Args:
        values: the attributes; those that are `shared` are left out.
    """
    permitted = {id(values[name]) for name in shared if name in values}
    found: dict[int, Special] = {}
    for name, root in values.items():
        for value, chain in _walk(root, permitted, atoms=True) if name not in shared else ():
            if _is_special(value):
                found[id(value)] = Special(name, chain())

    def count_inner(special: Special) -> int:
        return sum(1 for inner, _ in _walk(special.value, permitted, atoms=True) if _is_special(inner))

    return sorted(found.values(), key=count_inner)  # what is inside another one comes first


def prepare(owner: object, memo: dict[int, Any], specials: Sequence[Special]) -> None:
    """Put copies of special objects into the memo of a deep copy; the object itself, if it cannot change.

    Raises:
        CloneError: naming the attribute of `owner` with one that cannot be copied.
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
                raise _cannot_copy(owner, special.attribute, special.chain, error) from error


def clone_attributes(
    source: object,
    target: object,
    *,
    reset: Mapping[str, Any],
    shared: Collection[str],
    specials: Sequence[Special] | None = None,
    skip: Collection[str] = INTERNAL,
) -> None:
    """Gives `target` the attributes of `source`: reset, shared by reference, or copied.

    Args:
        reset: initial values, which `target` gets a fresh copy of, or `MISSING` for an attribute that was not there.
        shared: names of what is shared on purpose.
        specials: the `special_objects` of these values, if they are known already.
        skip: names that `target` makes for itself.

    Raises:
        CloneError: naming the attribute that is none of these and cannot be copied.
    """
    values = attributes(source)
    memo: dict[int, Any] = {id(source): target}
    memo |= {id(values[name]): values[name] for name in shared if name in values}
    copied = {name: value for name, value in {**values, **reset}.items() if name not in skip and value is not MISSING}
    prepare(source, memo, special_objects(copied, shared) if specials is None else specials)
    for name, value in copied.items():
        object.__setattr__(target, name, value if name in shared else deep_copy(source, name, value, memo))


def check_nothing_shared(
    source: object, target: object, shared: Collection[str], skip: Collection[str] = INTERNAL
) -> None:
    """Proves that a clone and its template have no mutable object in common, but for what is shared on purpose.

    Raises:
        CloneError: naming the attribute through which they have.
    """
    originals = {name: value for name, value in attributes(source).items() if name not in skip}
    permitted = {id(value) for name, value in originals.items() if name in shared}
    reachable = {id(source)}
    for value in originals.values():
        for found, _ in _walk(value, permitted):
            reachable.add(id(found))
            if isinstance(found, Cloneable):
                check_names(found)
    for name, value in attributes(target).items():
        if name in skip:
            continue
        for found, chain in _walk(value, permitted):
            if id(found) in reachable and not is_immutable(found):
                where = _where(source, name, chain())
                raise CloneError(source, name, f"{where}it would share a {type(found).__name__!r} between people")


def _cannot_copy(owner: object, attribute: str, chain: Sequence[Any], error: Exception) -> CloneError:
    """Say which object in an attribute cannot be copied: the last one that `copy.deepcopy` was called for."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    called = [frame.f_locals["x"] for frame in frames if frame.f_code is copy.deepcopy.__code__]
    chain = [*chain, *(called[1:] if called and called[0] is chain[-1] else called)]
    kind = type(chain[-1]).__name__
    return CloneError(owner, attribute, f"{_where(owner, attribute, chain)}{kind!r} cannot be copied ({error})")


def _where(owner: object, attribute: str, chain: Sequence[Any]) -> str:
    """Return the place of an object inside an attribute, for an error message; empty for the attribute itself."""
    name = f"self.{attribute}"
    found = path(name, chain)
    return "" if found == name else f"at {found}, "


def _walk(root: Any, permitted: set[int], *, atoms: bool = False) -> Iterator[tuple[Any, Any]]:
    """Yield what hangs on an object, each with a function that gives the chain of objects by which one gets there.

    Args:
        permitted: the ids of what is not looked into.
        atoms: whether objects are yielded, too, into which one does not have to look.
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
        yield found, lambda found=found: chain_of(found)
        if not is_atom(found):
            pending.extend((child, found) for child in children(found))


def _is_special(value: Any) -> bool:
    return is_shared_in_copies(value) or _copier(value) is not None


def _copier(value: Any) -> Any:
    if isinstance(value, MappingProxyType):
        return _copy_proxy
    if is_jinja(value, "Environment"):
        return _copy_environment
    return _copy_template if is_jinja(value, "Template") else None


def _copy_proxy(proxy: MappingProxyType[Any, Any], memo: dict[int, Any]) -> None:
    memo[id(proxy)] = MappingProxyType(copy.deepcopy(gc.get_referents(proxy)[0], memo))


def _copy_environment(environment: Any, memo: dict[int, Any]) -> None:
    from jinja2.environment import copy_cache

    memo[id(environment.cache)] = copy_cache(environment.cache)  # an empty one: it keeps templates of the first


def _copy_template(template: Any, memo: dict[int, Any]) -> None:
    """Copy a template, whose compiled functions have its environment as the default of an argument."""
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
        elif name == "_uptodate":  # a function of its loader, which a template may do without
            copied._uptodate = None
        else:
            setattr(copied, name, copy.deepcopy(value, memo))
