"""Look up the names, languages and time zones of people: https://docs.slack.dev/reference/methods/users.info"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from gateway.channels import DeliveryError, RetryLaterError
from gateway.logs import describe
from interfaces.slack.errors import slack_errors
from interfaces.slack.parse import Person
from interfaces.slack.pauses import WITHOUT_SCOPE, Pauses
from interfaces.slack.workspaces import Workspaces

CALL_TIMEOUT = 3.0  # seconds for one call: a turn waits no longer for a name
KNOWN_FOR = 3600.0  # seconds
UNKNOWN_FOR = 600.0  # seconds until a failed lookup is tried again
MOST_KNOWN = 10_000  # people
MOST_CALLS = 5  # at the same time

Key = tuple[str, str]
"""A workspace, and the id of a person there."""

log = logging.getLogger(__name__)


class People:
    """Looks up the people of the workspaces, with the scope `users:read`. Without it, nobody is known.

    A known person is looked up once an hour at most, however many turns ask for them.

    Args:
        most: the number of people who are remembered.
    """

    def __init__(self, workspaces: Workspaces, most: int = MOST_KNOWN) -> None:
        self._workspaces = workspaces
        self._most = most
        self._known: OrderedDict[Key, tuple[float, Person | None]] = OrderedDict()
        self._asked: dict[Key, asyncio.Task[Person | None]] = {}
        self._pauses = Pauses()
        self._calls = asyncio.Semaphore(MOST_CALLS)

    async def find(self, tenant: str, user_ids: Collection[str]) -> Mapping[str, Person]:
        """Return the people of a workspace by their ids, without those who cannot be looked up now."""
        ids = list(dict.fromkeys(user_ids))
        found = await asyncio.gather(*(self._find((tenant, user_id)) for user_id in ids))
        return {user_id: person for user_id, person in zip(ids, found, strict=True) if person is not None}

    async def _find(self, key: Key) -> Person | None:
        until, person = self._known.get(key, (0.0, None))
        if until > time.monotonic() or self._pauses.hold(key[0], _without_scope(key[0])):
            return person
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(key, person))
            self._asked[key].add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(self._asked[key])

    async def _ask(self, key: Key, before: Person | None) -> Person | None:
        """Look up a person. If that fails, return what was known before."""
        tenant, user_id = key
        person, known_for = before, UNKNOWN_FOR
        try:
            async with self._calls, asyncio.timeout(CALL_TIMEOUT):
                client = await self._workspaces.client(tenant)
                with slack_errors():
                    answer = await client.users_info(user=user_id, include_locale=True)
            user = answer.get("user")
            if isinstance(user, dict) and (found := _person(user)) is not None:
                person, known_for = found, KNOWN_FOR
        except RetryLaterError as limit:
            self._pauses.begin(tenant, limit.seconds)
            return person
        except (DeliveryError, ConnectionError, TimeoutError) as error:
            self._note(tenant, user_id, error)
        self._known[key] = (time.monotonic() + known_for, person)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return person

    def _note(self, tenant: str, user_id: str, error: Exception) -> None:
        if str(error) != "missing_scope":
            log.info("Slack did not return the profile of %s/%s: %s", tenant, user_id, describe(error))
        elif self._pauses.begin(_without_scope(tenant), WITHOUT_SCOPE):
            log.warning(
                "people of the workspace %s are called by their ids: the app lacks the scope users:read there", tenant
            )


def _without_scope(tenant: str) -> str:
    return f"{tenant}/users:read"


def _person(user: Mapping[str, Any]) -> Person | None:
    """Read a user: https://docs.slack.dev/reference/objects/user-object"""
    profile = user.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    names = (profile.get("real_name"), user.get("real_name"), profile.get("display_name"), user.get("name"))
    name = next((" ".join(each.split()) for each in names if isinstance(each, str) and each.strip()), None)
    return Person(name, str(user.get("locale") or ""), str(user.get("tz") or "")) if name is not None else None
