"""Find the gateway or the agent in an operator's file."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gateway.agents.agent import FLOW, Agent
from gateway.app.gateway import Gateway
from gateway.channels.interface import Interface
from gateway.configuration.discovery import configured_interfaces
from gateway.configuration.shadowing import explain
from gateway.runs.native import engine_of
from oauth import SettingError
from oauth.settings import all_errors, going_on
from toolkits import CloneError

YAML = (".yaml", ".yml")
FILE_PREFIX = "understudy_file_"  # begins the name of the module that an operator's file is loaded as


@all_errors()
def load_gateway(target: str) -> Gateway:
    """Return the gateway of a file, or a gateway for the agent in it, with the channels that the environment sets up.

    Args:
        target: `FILE`, or `FILE:NAME` if the file has several.

    Raises:
        SettingError: if there is no such file, if nothing in it can be run, or if several things could and no NAME is
            given; or with everything that is wrong in the settings that the file uses.
    """
    found = load_target(target)
    if isinstance(found, Gateway):
        return found
    try:
        interfaces: list[Interface] = []
        with going_on():
            interfaces = configured_interfaces()
        return Gateway(found, interfaces)
    except ImportError as error:
        if (explained := explain(error, split_target(target)[0].parent)) is None:
            raise
        raise SettingError(explained) from error


@all_errors()
def load_target(target: str) -> Gateway | Agent:
    """Return the gateway of a file, or else its agent, which may be written for a framework.

    Raises:
        SettingError: as `load_gateway`.
    """
    path, name = split_target(target)
    if not path.is_file():
        raise SettingError(f"There is no file {path}: correct the path.")
    if path.suffix in YAML:
        if name is not None:
            raise SettingError(f"{path} describes one gateway: leave out :{name}.")
        from gateway.configuration.building import load  # imported here, because Python files do not need it

        return load(path)
    module = _load(path)
    if name is not None:
        found = getattr(module, name, None)
        if not isinstance(found, (Gateway, Agent)) and engine_of(found) is None:
            raise SettingError(f"{path} has no Gateway and no Agent called {name!r}.")
    else:
        kinds: tuple[Callable[[Any], object], ...] = (
            lambda value: isinstance(value, Gateway),
            lambda value: isinstance(value, Agent),
            lambda value: engine_of(value) not in (None, FLOW),
            lambda value: inspect.iscoroutinefunction(value) and value.__module__ == module.__name__,
        )
        found = next((only for kind in kinds if (only := _only(module, kind, path)) is not None), None)
        if found is None:
            raise SettingError(f"{path} has no Gateway and no Agent at its top level: assign one to a name.")
    return found if isinstance(found, (Gateway, Agent)) else Agent(found)


def split_target(target: str) -> tuple[Path, str | None]:
    """Return the path and the name in `FILE:NAME`; the name is `None` if there is none."""
    path, colon, name = target.rpartition(":")
    return (Path(path), name) if colon and name.isidentifier() else (Path(target), None)


def _load(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.resolve().parent))  # as `python FILE` does
    name = f"{FILE_PREFIX}{path.stem}"  # not the file's own name, which may be that of a package, like slack
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingError(f"{path} is neither a Python file (.py) nor a YAML file (.yaml).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (SettingError, CloneError):
        raise
    except SyntaxError as error:
        where = f"{error.filename or path}:{error.lineno or 1}:{error.offset or 1}"
        raise SettingError(f"{where}: this is not Python: {error.msg}.") from error
    except Exception as error:  # a file may raise anything while it is loaded
        file, line = _where(path, error)
        explained = explain(error, path.parent, file.resolve()) or f"{type(error).__name__}: {error}"
        raise SettingError(f"{file}{line}: {explained}") from error
    return module


def _where(path: Path, error: Exception) -> tuple[Path, str]:
    """Return the last line of the file, or of another one beside it, that ran when an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve().parent == path.resolve().parent]
    return (Path(own[-1].filename), f":{own[-1].lineno}") if own else (path, "")


def _only(module: ModuleType, is_kind: Callable[[Any], object], path: Path) -> Any:
    named = {name: value for name, value in vars(module).items() if is_kind(value)}
    if len({id(value) for value in named.values()}) > 1:
        choices = ", ".join(f"{path}:{name}" for name in named)
        raise SettingError(f"{path} has several gateways or agents; say which: {choices}.")
    return next(iter(named.values()), None)
