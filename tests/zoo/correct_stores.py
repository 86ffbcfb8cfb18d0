"""Toolkits that store what people wrote, for each person separately."""

import hashlib
import json
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from toolkits import Identity, Toolkit, TurnContext, tool

_levels: dict[str, dict[str, dict[str, list[str]]]] = {}


class KeyedOnThreeLevels(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note by channel, tenant and person."""
        who = context.identity
        mine = _levels.setdefault(who.channel, {}).setdefault(who.tenant, {}).setdefault(who.user_id, [])
        mine.append(text)
        return str(mine)


_two_levels: dict[tuple[str, str], dict[str, str]] = {}


class KeyedOnTwoLevels(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note by tenant, and then by person."""
        who = context.identity
        _two_levels.setdefault((who.channel, who.tenant), {})[who.user_id] = text
        return _two_levels[who.channel, who.tenant][who.user_id]


_folders: dict[str, dict[tuple[str, str, str], str]] = {}


class KeyedByTenantThenATupleWithTheRest(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note by tenant, and then by person and folder."""
        who = context.identity
        _folders.setdefault(who.tenant, {})[who.channel, who.user_id, "inbox"] = text
        return "noted"


class _Scope(NamedTuple):
    folder: str
    owner: Identity


_scopes: dict[_Scope, list[str]] = {}


class KeyedByTupleWithTheRest(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note by folder and person."""
        _scopes.setdefault(_Scope("inbox", context.identity), []).append(text)
        return "noted"


def _hash(identity: Identity) -> str:
    return hashlib.sha256(repr(identity).encode()).hexdigest()


_hashed: dict[str, dict[str, Any]] = {}


class KeyedByHash(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note under a hash of the identity."""
        mine = _hashed.setdefault(_hash(context.identity), {"notes": [], "last": ""})
        mine["notes"].append(text)
        mine["last"] = text
        return str(mine)

    @tool
    def forget(self, text: str, context: TurnContext) -> str:
        """Replace all notes with this one."""
        _hashed[_hash(context.identity)] = {"notes": [], "last": text}
        return "forgotten"


_numbered: dict[int, str] = {}


class KeyedByNumber(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Note under Python's hash of the identity."""
        _numbered[hash(context.identity)] = text
        return _numbered[hash(context.identity)]


_tuples: list[tuple[Identity, str]] = []


class RowsAsTuples(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a row with its owner."""
        _tuples.append((context.identity, text))
        return str([text for owner, text in _tuples if owner == context.identity])


_dicts: deque[dict[str, Any]] = deque(maxlen=10_000)


class RowsAsDictionaries(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a row with its owner."""
        who = context.identity
        _dicts.append({"channel": who.channel, "tenant": who.tenant, "user": who.user_id, "text": text})
        return "noted"


@dataclass
class _Row:
    owner: Identity
    text: str
    tags: list[str]


_table: list[_Row] = []


class RowsAsObjects(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a row with its owner."""
        _table.append(_Row(context.identity, text, [text]))
        return str([row for row in _table if row.owner == context.identity])


_by_number: dict[int, dict[str, Any]] = {}


class RowsByNumber(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a numbered row with its owner."""
        _by_number[len(_by_number)] = {"owner": context.identity, "text": text}
        return "noted"


_journal: list[str] = []


class RowsAsText(Toolkit):
    @tool
    def note(self, text: str, context: TurnContext) -> str:
        """Add a line of JSON with its owner."""
        who = context.identity
        _journal.append(json.dumps({"owner": [who.channel, who.tenant, who.user_id], "text": text}))
        return "noted"


CORRECT_STORES: list[type[Toolkit]] = [
    KeyedOnThreeLevels,
    KeyedOnTwoLevels,
    KeyedByTenantThenATupleWithTheRest,
    KeyedByTupleWithTheRest,
    KeyedByHash,
    KeyedByNumber,
    RowsAsTuples,
    RowsAsDictionaries,
    RowsAsObjects,
    RowsByNumber,
    RowsAsText,
]
