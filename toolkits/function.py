"""Tools: methods of a toolkit that the model may call."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints, overload

from toolkits import preview
from toolkits.context import TurnContext
from toolkits.text import readable

if TYPE_CHECKING:
    from pydantic_ai import Tool

MARK = "__understudy_tool__"

Method = TypeVar("Method", bound=Callable[..., Any])

Approval = bool | Callable[..., Any]
"""Whether the person has to approve each call of a tool, or the method that shows them the call: see `tool`."""


@overload
def tool(method: Method, /) -> Method: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    label: str | None = None,
    read_only: bool = False,
    approval: Approval = False,
) -> Callable[[Method], Method]: ...
def tool(
    method: Method | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    label: str | None = None,
    read_only: bool = False,
    approval: Approval = False,
) -> Any:
    """Turn a method of a toolkit into a tool, which the model may call.

    The schema comes from the type hints and from the docstring, in Google's, NumPy's or Sphinx's style. A parameter
    annotated `TurnContext` receives the turn's context, and the model never sees it. A method that is not a coroutine
    function runs in a thread.

    Args:
        name: what the model calls the tool. Default: the method's name.
        description: what the model is told about the tool. Default: the docstring's.
        label: what people are shown while a call runs, like "Searching your mail". Default: the name in words.
        read_only: whether the tool changes nothing. When an interrupted turn is resumed, an unfinished call of a
            read-only tool is repeated. An unfinished call of any other tool is not, and the person is told so.
        approval: whether the person whose turn it is has to approve each call in the chat. They are shown the tool's
            name and arguments; or, if this is a method of the toolkit with the tool's own parameters, the markdown that
            the method returns to say what the call will do (see `toolkits.preview`). The method may raise the same
            errors as a tool.
    """

    def mark(function: Method) -> Method:
        called = name or function.__name__
        definition = ToolDefinition(
            function, called, description, label=label or readable(called), read_only=read_only, approval=approval
        )
        setattr(function, MARK, definition)
        return function

    return mark if method is None else mark(method)


class ToolDefinition:
    """The part of a tool that is the same for everybody: name, schema, validator. All clones share it."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        description: str | None,
        *,
        label: str,
        read_only: bool,
        approval: Approval,
    ) -> None:
        self.function = function
        self.name = name
        self.label = label
        self.read_only = read_only
        self.approval = approval
        self._description = description

    @property
    def method_name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return self.schema.description or ""

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return self.schema.function_schema.json_schema

    @cached_property
    def context_parameter(self) -> str | None:
        return next((name for name, hint in self._hints.items() if hint is TurnContext), None)

    @cached_property
    def schema(self) -> "Tool[Any]":
        """The tool as pydantic-ai describes it, without `self` and the context."""
        from pydantic_ai import Tool  # imported on first use, because that takes a second

        return Tool(self._arguments_only(), takes_ctx=False, name=self.name, description=self._description)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    def _arguments_only(self) -> Callable[..., Any]:
        signature = inspect.signature(self.function)
        parameters = list(signature.parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"{self.function.__qualname__}: a tool takes named parameters only, not {parameter}")
        kept = [parameter for parameter in parameters if parameter.name != self.context_parameter]

        def arguments_only(**arguments: Any) -> Any:
            raise AssertionError("this only carries the signature")

        arguments_only.__name__ = self.function.__name__
        arguments_only.__qualname__ = self.function.__qualname__
        arguments_only.__module__ = self.function.__module__
        arguments_only.__doc__ = self.function.__doc__
        arguments_only.__annotations__ = {
            name: hint for name, hint in self._hints.items() if name != self.context_parameter
        }
        arguments_only.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in kept]
        )
        return arguments_only


class ToolOwner(Protocol):
    """The parts of a toolkit that a function, and the engine that calls it, use: see `Toolkit`."""

    private: bool
    auto_approve: Collection[str]
    auth: Any


class Function:
    """One tool of one toolkit: the shared definition, bound to the instance whose state it uses."""

    __slots__ = ("_method", "definition", "toolkit")

    def __init__(self, definition: ToolDefinition, toolkit: ToolOwner) -> None:
        self.definition = definition
        self.toolkit = toolkit
        self._method = getattr(toolkit, definition.method_name)

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def description(self) -> str:
        return self.definition.description

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return self.definition.parameters

    def clone_for(self, toolkit: ToolOwner) -> "Function":
        """Return this tool, bound to another instance of the toolkit. The definition is shared."""
        return Function(self.definition, toolkit)

    @property
    def needs_approval(self) -> bool:
        """Whether the person whose turn it is has to approve each call."""
        return bool(self.definition.approval) and self.name not in self.toolkit.auto_approve

    async def preview(self, arguments: Mapping[str, Any], context: TurnContext) -> str:
        """Return what a call will do, in markdown, for the person who is asked to approve it.

        Args:
            arguments: as for `call`.
            context: as for `call`.
        """
        if callable(self.definition.approval):
            return str(await self._run(partial(self.definition.approval, self.toolkit), arguments, context))
        return preview.call(self.name, arguments)

    async def call(self, arguments: Mapping[str, Any], context: TurnContext) -> Any:
        """Run the tool, in a thread if it is not a coroutine function.

        Args:
            arguments: the validated arguments, by name.
            context: the context of the turn, for a tool that has a parameter for it.
        """
        return await self._run(self._method, arguments, context)

    async def _run(self, method: Callable[..., Any], arguments: Mapping[str, Any], context: TurnContext) -> Any:
        if self.definition.context_parameter is not None:
            arguments = {**arguments, self.definition.context_parameter: context}
        if inspect.iscoroutinefunction(method):
            return await method(**arguments)
        result = await asyncio.to_thread(method, **arguments)
        return await result if inspect.isawaitable(result) else result
