"""Mark tools of other frameworks that need a person's account."""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from toolkits.context import TurnContext

Tool = TypeVar("Tool", bound=Callable[..., Any])


def needs_sign_in(provider: str, scopes: Collection[str] = ()) -> Callable[[Tool], Tool]:
    """Require that the person whose turn it is has connected an account before a tool is called.

    If the person has not connected one, the turn stops, and they get a sign-in link. Once they have signed in, the turn
    is played again.

    Put this decorator below the framework's own decorator for tools, on a function or method that has the `TurnContext`
    among its arguments, or an object that contains it: pydantic-ai's `RunContext`, LangGraph's `ToolRuntime` or
    `RunnableConfig`, the `RunContextWrapper` of the OpenAI Agents SDK. The tool then gets the credentials from
    `TurnContext.credentials`, or in a thread from `TurnContext.credentials_sync`.

    Args:
        provider: the provider's name, like `google`.
        scopes: the permissions that the tool needs.
    """

    def decorate(function: Tool) -> Tool:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def checked(*args: Any, **kwargs: Any) -> Any:
                await _context(function, args, kwargs).credentials(provider, scopes)
                return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def checked(*args: Any, **kwargs: Any) -> Any:
                _context(function, args, kwargs).credentials_sync(provider, scopes)
                return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


def _context(function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> TurnContext:
    for argument in (*args, *kwargs.values()):
        for candidate in _candidates(argument):
            if isinstance(candidate, TurnContext):
                return candidate
    raise TypeError(
        f"{function.__qualname__} needs a sign-in, but none of its arguments has a TurnContext: "
        "give it one, or the run context of its framework."
    )


def _candidates(argument: Any) -> Iterable[Any]:
    yield argument
    if isinstance(argument, Mapping):  # LangChain's RunnableConfig
        yield argument.get("configurable", {}).get("turn_context")
        return
    for name in ("deps", "context"):
        given = getattr(argument, name, None)
        yield given
        yield from getattr(given, "__dict__", {}).values()  # an object that Agent(make_context=…) made
