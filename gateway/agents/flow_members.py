"""Find the values that a flow names in its code, which include the agents that it calls."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any


def values_named_in(flow: Callable[..., Any]) -> Iterator[Any]:
    """Yield the values that a flow names, and the values that functions of its module name, if the flow names them.

    A value may be yielded more than once.
    """
    seen, waiting = set[Any](), [flow]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for value in _named_in(function):
            yield value
            if inspect.isfunction(value) and value.__module__ == flow.__module__:
                waiting.append(value)


def _named_in(function: Any) -> Iterator[Any]:
    """Yield the values of the globals and the enclosing variables that a function names.

    For a method, also yield the values of its object's attributes.
    """
    if inspect.ismethod(function):
        yield from getattr(function.__self__, "__dict__", {}).values()
        function = function.__func__
    codes = [function.__code__]
    for code in codes:
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]  # functions defined in it
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # the variable has no value yet
            yield cell.cell_contents
