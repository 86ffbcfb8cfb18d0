"""The in-memory histories that a flow's calls read and write while a turn runs.

`gateway.history.sessions` stores the history of a conversation. A turn begins with a `Session` of the stored items, and
the items that were added to it are stored when the turn ends.
"""

from collections.abc import Sequence
from typing import Any

from gateway.runs.items import SessionItem


class Session:
    """A history in memory. It lasts for one turn, or, in a script, for as long as the script keeps it.

    Args:
        items: the items that it begins with.
    """

    def __init__(self, items: Sequence[SessionItem] = ()) -> None:
        self._before = tuple(items)
        self._blocks: list[list[SessionItem]] = []

    @property
    def items(self) -> tuple[SessionItem, ...]:
        """All items, in order."""
        return (*self._before, *self.added)

    @property
    def added(self) -> tuple[SessionItem, ...]:
        """The items that were added, in order."""
        return tuple(item for block in self._blocks for item in block)

    async def get_items(self) -> list[SessionItem]:
        """Return all items, in order."""
        return list(self.items)

    async def add_items(self, items: Sequence[SessionItem]) -> None:
        """Add items at the end."""
        self.begin().extend(items)

    def begin(self) -> list[SessionItem]:
        """Add an empty block at the end and return it. A call begins a block, and adds its items when it ends.

        This keeps the items of concurrent calls in the order in which the calls began.
        """
        block: list[SessionItem] = []
        self._blocks.append(block)
        return block


class PhaseSession(Session):
    """The history of one phase, and its notes: `p.sources = 3` sets `p.data["sources"]`.

    Args:
        label: the label of the phase.
        items: the history as it was when the phase began.
    """

    def __init__(self, label: str, items: Sequence[SessionItem]) -> None:
        object.__setattr__(self, "_label", label)
        object.__setattr__(self, "_data", {})
        object.__setattr__(self, "_before", tuple(items))
        object.__setattr__(self, "_blocks", [])

    @property
    def label(self) -> str:
        """The label of the phase."""
        return str(self.__dict__["_label"])

    @property
    def data(self) -> dict[str, Any]:
        """The notes, by name."""
        data: dict[str, Any] = self.__dict__["_data"]
        return data

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_data"][name]
        except KeyError:
            raise AttributeError(f"the phase has no note {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name) or name.startswith("_"):
            raise AttributeError(f"{name!r} cannot be the name of a phase's note: choose another name")
        self.data[name] = value
