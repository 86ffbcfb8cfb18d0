from collections.abc import Sequence
from typing import Any

from gateway.runs.items import SessionItem


class Session:
    """A history that calls of agents read and write, while a turn lasts; or, in a script, for as long as it is kept.

    Args:
        items: what was said before.
    """

    def __init__(self, items: Sequence[SessionItem] = ()) -> None:
        self._before = tuple(items)
        self._blocks: list[list[SessionItem]] = []

    @property
    def items(self) -> tuple[SessionItem, ...]:
        """All that is in it now, in order."""
        return (*self._before, *self.added)

    @property
    def added(self) -> tuple[SessionItem, ...]:
        """What was added to it."""
        return tuple(item for block in self._blocks for item in block)

    async def get_items(self) -> list[SessionItem]:
        """All that is in it now, in order."""
        return list(self.items)

    async def add_items(self, items: Sequence[SessionItem]) -> None:
        """Adds items at the end."""
        self.begin().extend(items)

    def begin(self) -> list[SessionItem]:
        """A place for what a call adds when it ends: of calls side by side, in the order in which they began."""
        block: list[SessionItem] = []
        self._blocks.append(block)
        return block


class PhaseSession(Session):
    """The history of one phase, and its notes: `p.sources = 3` is kept in `p.data["sources"]`.

    Args:
        items: the history as it was when the phase began.
    """

    def __init__(self, label: str, items: Sequence[SessionItem]) -> None:
        object.__setattr__(self, "_label", label)
        object.__setattr__(self, "_data", {})
        object.__setattr__(self, "_before", tuple(items))
        object.__setattr__(self, "_blocks", [])

    @property
    def label(self) -> str:
        return str(self.__dict__["_label"])

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.__dict__["_data"]
        return data

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_data"][name]
        except KeyError:
            raise AttributeError(f"the phase has no note {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name.startswith("_"):
            raise AttributeError(f"{name!r} is no name for a note of a phase")
        self.data[name] = value
