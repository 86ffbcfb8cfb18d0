"""Import what an extra installs, and name the extra where it is missing."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from oauth.errors import SettingError


@contextmanager
def extra_needed(extra: str, what: str) -> Iterator[None]:
    """Name the extra if the block imports a package that is not installed.

    Args:
        extra: the name of the extra, like "slack".
        what: what needs the package, as the subject of a sentence.

    Raises:
        SettingError: naming the missing package and the extra that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if getattr(sys.modules.get(name.rpartition(".")[0]), "__file__", None) is not None:
            raise  # the package is there, without the module: a file of the operator hides it, for example
        raise SettingError(
            f"{what} needs {name}, which is not installed: pip install 'understudy[{extra}]'."
        ) from error


def from_extra(package: str, extra: str, what: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports its public names when they are first used.

    So the other modules of the package, like its settings, need no extra: https://peps.python.org/pep-0562/

    Args:
        package: the package's `__name__`.
        extra, what: as for `extra_needed`.
        names: the module of each public name.
    """

    def get(name: str) -> Any:
        if (module := names.get(name)) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with extra_needed(extra, what):
            return getattr(import_module(module), name)

    return get
