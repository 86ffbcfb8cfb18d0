"""The base class of toolkits."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

from oauth import SettingError
from toolkits.cloning import (
    CLONE,
    INTERNAL,
    CloneError,
    check_names,
    check_nothing_shared,
    clone_attributes,
    deep_copy,
    prepare,
    special_objects,
)
from toolkits.function import MARK, Function, ToolDefinition
from toolkits.paths import MISSING, attributes

_FUNCTIONS, _INITIAL, _SPECIALS = INTERNAL


class _ToolkitType(type):
    """Records the initial values of the attributes that clones reset, once `__init__` has returned."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        toolkit = super().__call__(*args, **kwargs)
        object.__setattr__(toolkit, _INITIAL, toolkit._note_initial_values())
        toolkit._note_special_objects()
        _ = toolkit.functions  # made now, because a finished template does not change
        return toolkit


class Toolkit(metaclass=_ToolkitType):
    """A group of tools with state. Every turn gets a clone; the instance given to the agent is a template.

    Its tools are its methods with the decorator `tool`. What a tool keeps on `self` lives as long as the turn.

    Class attributes:
        _clone_reset_attrs: names of attributes that have their initial value in a clone: per-person credentials,
            clients and caches.
        _clone_shared_attrs: names of attributes that all clones share by reference, on purpose.
        private: whether the results of its tools are only for the sender. The model does not see such results in
            another person's turn in the same conversation.
        read_only: whether it has only the tools that change nothing.
        auto_approve: names of tools with `approval` that are nevertheless called without it.
        auth: the OAuth provider whose credentials its tools need. A value that is not a provider means something only
            to the toolkit.
        scopes: the permissions that its tools need from that provider.
    """

    _clone_reset_attrs: ClassVar[Collection[str]] = ()
    _clone_shared_attrs: ClassVar[Collection[str]] = ()
    private: bool = False
    read_only: bool = False
    auto_approve: Collection[str] = ()
    auth: Any = None
    scopes: frozenset[str] = frozenset()

    @property
    def functions(self) -> Mapping[str, Function]:
        """The tools by name, bound to this instance."""
        functions: dict[str, Function] | None = self.__dict__.get(_FUNCTIONS)
        if functions is None:
            definitions = [each for each in _definitions(type(self)) if each.read_only or not self.read_only]
            functions = {definition.name: Function(definition, self) for definition in definitions}
            object.__setattr__(self, _FUNCTIONS, functions)
        return functions

    def clone(self) -> Self:
        """Return a new toolkit for one turn, which holds no data of any person.

        Raises:
            CloneError: naming the attribute that cannot be copied.
        """
        target = object.__new__(type(self))
        initial: dict[str, Any] = self.__dict__[_INITIAL]
        reset = {name: self._initial(initial, name) for name in self._clone_reset_attrs}
        specials = self.__dict__.get(_SPECIALS)  # a clone has none
        clone_attributes(self, target, reset=reset, shared=self._clone_shared_attrs, specials=specials)
        object.__setattr__(target, _INITIAL, initial)
        return target

    def check_clone(self) -> None:
        """Check, at start-up, that a clone shares with this template only what is declared shared.

        Raises:
            CloneError: naming the toolkit and the attribute that is shared by mistake, or declared but missing.
            TypeError: naming a tool whose signature has no schema.
            SettingError: naming an entry of `auto_approve` that is not a tool with `approval`.
        """
        check_names(self)
        self._note_special_objects()  # again: attributes may have been added since
        try:
            clone = self.clone()
        except CloneError:
            raise
        except Exception as error:
            raise CloneError(self, CLONE, f"it raised {error!r}") from error
        if clone is self or type(clone) is not type(self):
            raise CloneError(self, CLONE, _what_it_returned(self, clone))
        check_nothing_shared(self, clone, self._clone_shared_attrs)
        asking = [name for name, function in self.functions.items() if function.definition.approval]
        if unknown := sorted(set(self.auto_approve).difference(asking)):
            raise SettingError(
                f"{type(self).__name__} has auto_approve={unknown[0]!r}, but no tool of that name that asks for "
                f"approval. Tools that do: {', '.join(asking) or 'none'}."
            )
        for function in self.functions.values():
            _ = function.parameters  # made now and shared by all clones, so that a bad signature stops the start

    def own_values(self) -> list[Any]:
        """Return the values of the attributes that a clone does not share."""
        left_out = (*self._clone_shared_attrs, *INTERNAL)
        return [value for name, value in attributes(self).items() if name not in left_out]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.clone()

    def _note_initial_values(self) -> dict[str, Any]:
        values = attributes(self)
        memo: dict[int, Any] = {id(self): self}
        memo |= {id(values[name]): values[name] for name in self._clone_shared_attrs if name in values}
        reset = {name: values[name] for name in self._clone_reset_attrs if name in values}
        prepare(self, memo, special_objects(reset, self._clone_shared_attrs))
        initial: dict[str, Any] = {}
        for name in self._clone_reset_attrs:
            try:
                initial[name] = deep_copy(self, name, values[name], memo) if name in values else MISSING
            except CloneError as error:  # raised by `clone`, at start-up
                initial[name] = error
        return initial

    def _note_special_objects(self) -> None:
        values = {**attributes(self), **self.__dict__[_INITIAL]}
        left_out = [name for name, value in values.items() if value is MISSING or isinstance(value, CloneError)]
        own = {name: value for name, value in values.items() if name not in (*INTERNAL, *left_out)}
        object.__setattr__(self, _SPECIALS, special_objects(own, self._clone_shared_attrs))

    def _initial(self, initial: Mapping[str, Any], name: str) -> Any:
        value = initial.get(name, MISSING)
        if isinstance(value, CloneError):
            raise value
        return value


def _definitions(cls: type[Toolkit]) -> list[ToolDefinition]:
    members = (getattr(cls, name) for name in dir(cls))
    return [getattr(member, MARK) for member in members if hasattr(member, MARK)]


def _what_it_returned(toolkit: Toolkit, clone: object) -> str:
    found = "the toolkit itself" if clone is toolkit else f"a {type(clone).__name__!r}"
    return f"it returned {found}, not a new {type(toolkit).__name__}"
