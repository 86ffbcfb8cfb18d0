import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints, overload

from oauth.errors import UnderstudyError
from toolkits import preview
from toolkits.context import TurnContext

if TYPE_CHECKING:
    from pydantic_ai import Tool

    from toolkits.toolkit import Toolkit

MARK = "__understudy_tool__"

Method = TypeVar("Method", bound=Callable[..., Any])

Approval = bool | Callable[..., Any]
"""Whether a tool asks its person before it does something; or what tells them what that is: see `tool`."""


class ToolError(UnderstudyError):
    """A tool could not do what it was asked. The message is for the model, which may try otherwise."""


@overload
def tool(method: Method, /) -> Method: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    approval: Approval = False,
) -> Callable[[Method], Method]: ...
def tool(
    method: Method | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    approval: Approval = False,
) -> Any:
    """Makes a method of a toolkit a tool: what the model may call.

    The schema comes from the type hints and the docstring, whose sections for arguments are read in Google's,
    NumPy's and Sphinx's style. A parameter annotated `TurnContext` is given the turn's context, and the model
    never sees it. A method that is not a coroutine function runs in a thread.

    Args:
        name: what the model calls it; the method's name unless given.
        description: what the model is told of it; from the docstring unless given.
        read_only: whether it changes nothing. Then it is called again in a turn that was interrupted; any other tool of
            which it is not known whether it was done is not, and the person is told so.
        approval: whether the person whose turn it is has to say yes in the chat before it is done. They are told the
            tool's name and its arguments; or, if this is a method of the toolkit with the tool's own parameters, what
            that returns: what the call is to do, in markdown (see `toolkits.preview`). It may raise what a tool may.
    """

    def mark(function: Method) -> Method:
        definition = ToolDefinition(function, name or function.__name__, description, read_only, approval)
        setattr(function, MARK, definition)
        return function

    return mark if method is None else mark(method)


class ToolDefinition:
    """What is the same of a tool for everybody: name, schema, validator. Made once, shared by all clones."""

    def __init__(
        self, function: Callable[..., Any], name: str, description: str | None, read_only: bool, approval: Approval
    ) -> None:
        self.function = function
        self.name = name
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
        from pydantic_ai import Tool  # imported when it is first needed: that takes a second

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
            raise AssertionError("it stands for the signature")

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


class Function:
    """One tool of one toolkit: the shared definition, bound to the instance whose state it uses."""

    __slots__ = ("_method", "definition", "toolkit")

    def __init__(self, definition: ToolDefinition, toolkit: "Toolkit") -> None:
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

    def clone_for(self, toolkit: "Toolkit") -> "Function":
        """The same tool of another instance of the toolkit. The definition is shared."""
        return Function(self.definition, toolkit)

    @property
    def needs_approval(self) -> bool:
        """Whether the person whose turn it is has to say yes before it is done."""
        return bool(self.definition.approval) and self.name not in self.toolkit.auto_approve

    async def preview(self, arguments: Mapping[str, Any], context: TurnContext) -> str:
        """What a call is to do, in markdown, for the person who is asked to approve it.

        Args:
            arguments, context: as `call`.
        """
        if callable(self.definition.approval):
            return str(await self._run(partial(self.definition.approval, self.toolkit), arguments, context))
        return preview.call(self.name, arguments)

    async def call(self, arguments: Mapping[str, Any], context: TurnContext) -> Any:
        """Runs the tool, in a thread if it is not a coroutine function.

        Args:
            arguments: by name, validated.
            context: what the tool is told about the turn, if it asks.
        """
        return await self._run(self._method, arguments, context)

    async def _run(self, method: Callable[..., Any], arguments: Mapping[str, Any], context: TurnContext) -> Any:
        if self.definition.context_parameter is not None:
            arguments = {**arguments, self.definition.context_parameter: context}
        if inspect.iscoroutinefunction(method):
            return await method(**arguments)
        result = await asyncio.to_thread(method, **arguments)
        return await result if inspect.isawaitable(result) else result
