"""Check arguments from a file against the signature of a class or function."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from gateway.configuration.expansion import expanded, is_open
from oauth import SettingError
from toolkits import Toolkit


class Parameters:
    """The parameters of a class or function, each with a check of its type.

    A parameter without an annotation, or with a type that pydantic cannot check, accepts any value.
    """

    def __init__(self, cls: Callable[..., Any]) -> None:
        function: Any = cls.__init__ if inspect.isclass(cls) else cls
        found = list(inspect.signature(function).parameters.items())
        self._found = dict(found[1:] if inspect.isclass(cls) else found)
        self._takes_any = any(each.kind is each.VAR_KEYWORD for each in self._found.values())
        namespace = getattr(function, "__globals__", {})
        self._types = {name: _adapter(each.annotation, namespace) for name, each in self._found.items()}
        self.names = [name for name, each in self._found.items() if each.kind not in _VARIABLE]

    def unknown(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return the names of arguments that are not accepted."""
        return [name for name in arguments if name not in self.names and not self._takes_any]

    def missing(self, arguments: Mapping[str, Any]) -> list[str]:
        """Return the names of parameters without a default that are not given."""
        needed = (name for name in self.names if self._found[name].default is inspect.Parameter.empty)
        return [name for name in needed if name not in arguments]

    def converted(self, name: str, value: Any) -> Any:
        """Return a value converted to its parameter's type: "5" to 5, for example.

        Raises:
            ValidationError: if the value cannot be converted.
        """
        adapter = self._types.get(name)
        converted = value if adapter is None else adapter.validate_python(value)
        return value if isinstance(converted, Iterator) else converted  # an iterator can be read only once


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def per_request(cls: Any, parameters: Parameters, arguments: Mapping[str, Any]) -> Any:
    """Return a toolkit whose clones are made anew, with the request's values in their arguments.

    Raises:
        SettingError: if the class is not a toolkit class.
    """

    def made_with(name: str, value: Any) -> Any:
        value, was_open = expanded(value), is_open(value)
        if not was_open or is_open(value):  # converted before, or for the template, which has no request
            return value
        try:
            return parameters.converted(name, value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise SettingError(f"{cls.__name__}({name}=…) cannot be made from this request: {problem}.") from None

    def clone(self: Toolkit) -> Toolkit:
        made = type(self)(**{name: made_with(name, value) for name, value in arguments.items()})
        for name in self._clone_shared_attrs:
            if name in self.__dict__:
                object.__setattr__(made, name, self.__dict__[name])
        return made

    if not issubclass(cls, Toolkit):
        raise SettingError(f"{cls.__name__} is not a toolkit, so its arguments cannot depend on the request.")
    configured: Any = type(cls)(cls.__name__, (cls,), {"clone": clone, "__module__": cls.__module__})
    return configured(**{name: made_with(name, value) for name, value in arguments.items()})


def _adapter(annotation: Any, namespace: Mapping[str, Any]) -> TypeAdapter[Any] | None:
    if annotation is inspect.Parameter.empty:
        return None
    for config in (ConfigDict(arbitrary_types_allowed=True), None):  # a pydantic model accepts no other config
        with suppress(
            NameError, PydanticUserError, SchemaError
        ):  # imported only for type checkers, or unknown to pydantic
            annotated = SimpleNamespace(__annotations__={"it": annotation})
            hints = get_type_hints(annotated, dict(namespace), include_extras=True)
            return TypeAdapter(hints["it"], config=config)
    return None
