"""Decide whether only the person who wrote a stored text can reach it."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from gateway.check.marks import Kind, Survivor, marks_in_text
from gateway.check.people import ROLES, Person
from toolkits import Message, Toolkit, TurnContext
from toolkits.paths import attributes

MOST_FIELDS = 64  # of a row
DEEPEST = 2  # levels of objects inside one another that may name an owner

_NO_ROWS = (TurnContext, Message, Toolkit, BaseException)  # they name their person, and last for one turn

WHOLE_IDENTITY = "under their whole identity"
SEPARATE_KEY = "under a separate key for each person, like a hash of their identity"
ROW_WITH_OWNER = "in rows that name their owner"


def beside(child: Any, owner: Any) -> str:
    """Return the texts that an object holds beside one of its parts, like the owner in a row of a table."""
    if isinstance(owner, (str, bytes, *_NO_ROWS)):
        return ""
    return "\n".join(text for part in _fields(owner) if part is not child for text in _texts(part, DEEPEST))


def _fields(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        fields = list(value.values())
    elif isinstance(value, (tuple, list, set, frozenset)):
        fields = list(value)
    else:
        fields = [] if isinstance(value, type) else list(attributes(value).values())
    return fields if len(fields) <= MOST_FIELDS else []


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth and not isinstance(value, (bytes, int, float, *_NO_ROWS)):
        for part in _fields(value):
            yield from _texts(part, depth - 1)


class Owners:
    """Decides whether a text that survives its turn is kept only for its own person.

    The people are chosen so that any key that is less than the whole identity is the same for two of them.

    Args:
        survivors: all marks that are still in memory.
        people: the people of each scene, by its number.
    """

    def __init__(self, survivors: Collection[Survivor], people: Mapping[int, Sequence[Person]]) -> None:
        self._people = people
        # The people whose texts each mapping has under each key, and the people whose rows each kind of path leads to.
        self._keys: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._rows: dict[str, set[int]] = defaultdict(set)
        for survivor in survivors:
            if survivor.mark.kind is not Kind.DATA:
                continue
            for mapping, key in survivor.places:
                self._keys[mapping][key].add(survivor.mark.person)
            if self._names_owner(survivor):
                self._rows[_pattern(survivor)].add(survivor.mark.person)

    def how_kept(self, survivor: Survivor) -> str | None:
        """Return how a text is kept only for its own person; `None` if others can reach it."""
        if self._person(survivor).is_identified_by("\n".join(survivor.keys)):
            return WHOLE_IDENTITY
        if any(self._tells_apart(mapping) for mapping, _ in survivor.places):
            return SEPARATE_KEY
        if self._names_owner(survivor) and len(self._rows[_pattern(survivor)]) == len(ROLES):
            return ROW_WITH_OWNER
        return None

    def _person(self, survivor: Survivor) -> Person:
        return self._people[survivor.mark.scene][survivor.mark.person]

    def _tells_apart(self, mapping: int) -> bool:
        """Return whether a mapping has a separate key for each person."""
        people = sorted(person for under_key in self._keys[mapping].values() for person in under_key)
        return people == list(range(len(ROLES))) and len(self._keys[mapping]) == len(ROLES)

    def _names_owner(self, survivor: Survivor) -> bool:
        person = self._person(survivor)
        return any(person.is_identified_by(row) and _users(row) == {person.role.user} for row in survivor.rows)


def _users(text: str) -> set[int]:
    return {mark.person for mark in marks_in_text(text) if mark.kind is Kind.IDENTITY}


def _pattern(survivor: Survivor) -> str:
    """Return the part of a path that all rows of one table share."""
    return re.sub(r"\[[^\]]*\]", "[…]", survivor.path)
