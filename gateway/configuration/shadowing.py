"""Explain imports that fail because the operator has a folder or file with the name of one of our packages."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

PACKAGES = ("gateway", "interfaces", "oauth", "toolkits")
HOME = Path(__file__).resolve().parents[2]  # the folder that our packages are in


def explain(error: Exception, folder: Path, importer: Path | None = None) -> str | None:
    """Return which of two packages of one name Python imports, and what to do; `None` if that is not the problem.

    Args:
        folder: the folder of the operator's file.
        importer: the file that could not import something, if known.
    """
    package, *missing = _missing(error)
    if package not in PACKAGES:
        return None
    taken = _taken(package)
    if taken is not None and taken.parent != HOME:
        return (
            f"{taken} hides Understudy's package {package!r}, which is needed here: "
            f"rename yours, for example to my_{taken.name}."
        )
    for theirs in (folder.resolve() / package, folder.resolve() / f"{package}.py"):
        if theirs.parent != HOME and theirs != importer and missing and _may_have(theirs, missing[0]):
            return (
                f"{package!r} is Understudy's package here, which has no {'.'.join(missing)!r} and hides your "
                f"{theirs}: rename yours, for example to my_{theirs.name}, and import it under that name."
            )
    return None


def _missing(error: Exception) -> Sequence[str]:
    """Return the parts of the dotted name that was not found; one empty part if nothing was missing."""
    if isinstance(error, ModuleNotFoundError):
        return (error.name or "").split(".")
    if isinstance(error, ImportError):  # from toolkits import Mine; Python 3.11 has that name only in the message
        name = re.search(r"cannot import name '(\w+)'", str(error))
        return [*(error.name or "").split("."), *(name.groups() if name else ())]
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):  # import toolkits; toolkits.Mine
        return [*error.obj.__name__.split("."), str(error.name)]
    return [""]


def _taken(package: str) -> Path | None:
    """Return the folder or file that Python has imported as a package."""
    module = sys.modules.get(package)
    if module is None:
        return None
    if folders := list(getattr(module, "__path__", ())):
        return Path(folders[0]).resolve()
    return Path(module.__file__).resolve() if module.__file__ else None


def _may_have(theirs: Path, name: str) -> bool:
    """Return whether an operator's folder or file may define a name, without running it."""
    if (theirs / name).is_dir() or (theirs / f"{name}.py").is_file():
        return True
    source = theirs / "__init__.py" if theirs.is_dir() else theirs
    return source.is_file() and re.search(rf"\b{name}\b", source.read_text(errors="replace")) is not None
