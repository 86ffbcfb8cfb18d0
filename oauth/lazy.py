"""Import the public names of a package when they are first used, so that a command imports only what it needs."""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def import_lazily(package: str, file: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: https://peps.python.org/pep-0562/

    The package has the imports of its public names in a block `if TYPE_CHECKING:`, where type checkers and readers find
    them. They are read from there, so that they stand only once.

    Args:
        package, file: the package's `__name__` and `__file__`.
    """
    places = {
        alias.asname or alias.name: (str(statement.module), alias.name)
        for statement in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, its_name = places[name]
        value = getattr(import_module(module), its_name)
        setattr(sys.modules[package], name, value)  # Python does not ask for it again
        return value

    return get
