"""Follow groups that became supergroups, which have another id."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from interfaces.telegram.errors import ChatMovedError

T = TypeVar("T")


class MovedChats:
    """Knows the new ids of groups, and has the gateway move their conversations.

    Args:
        move: moves the conversation of a group, by its old and its new id. It may be called again.
    """

    def __init__(self, move: Callable[[int, int], Awaitable[None]]) -> None:
        self._move = move
        self._new_ids: dict[int, int] = {}

    def id_of(self, chat_id: int) -> int:
        """Return the id that a chat has now, as far as this process knows it."""
        return self._new_ids.get(chat_id, chat_id)

    async def follow(self, old_id: int, new_id: int) -> None:
        """Move the conversation of a group."""
        await self._move(old_id, new_id)
        self._new_ids[old_id] = new_id

    async def call(self, chat_id: int, call: Callable[[int], Awaitable[T]]) -> T:
        """Make a call about a chat, and if Telegram answers with the chat's new id, once more with that id.

        Args:
            call: makes the call, by the id of the chat, within `telegram_errors`.
        """
        chat_id = self.id_of(chat_id)
        try:
            return await call(chat_id)
        except ChatMovedError as moved:  # Telegram did nothing
            await self.follow(chat_id, moved.new_id)
            return await call(moved.new_id)
