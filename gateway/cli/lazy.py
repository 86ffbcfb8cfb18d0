"""Commands whose modules are imported when they run, and not when the help lists them."""

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class LazyCommand(TyperCommand):
    """A command that is imported when it runs.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands

    Args:
        path: the module, a colon, and the name of a function or of a `typer.Typer` with several commands.
        summary: the first paragraph of its help.
    """

    def __init__(self, name: str, path: str, summary: str) -> None:
        super().__init__(name, help=summary)
        self._path = path

    def load(self) -> TyperCommand | TyperGroup:
        """Import the command itself."""
        module, _, name = self._path.partition(":")
        gc.disable()  # imports make many objects that stay, in which collections would search in vain
        try:
            found = getattr(import_module(module), name)
        finally:
            gc.enable()
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        single = typer.Typer(add_completion=False)
        single.command(self.name)(found)
        command = typer.main.get_command(single)
        assert isinstance(command, TyperCommand)
        return command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)


def lazy_group(commands: Mapping[str, tuple[str, str]]) -> type[TyperGroup]:
    """Return the class of a group of commands, for `typer.Typer(cls=…)`.

    Args:
        commands: the path and the summary of each command, by name.
    """

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = {name: LazyCommand(name, *place) for name, place in commands.items()}

    return LazyGroup
