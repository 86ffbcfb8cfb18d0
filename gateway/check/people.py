"""The synthetic people: who they are, where they write, and the credentials that they are given."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from gateway.check.marks import Kind, Marks
from oauth import ConsentRequiredError, CredentialsRefusedError, Identity, OAuthProvider, Token
from oauth.errors import UnderstudyError
from toolkits import Conversation, Message, TurnContext

DEADLINE = timedelta(minutes=1)
BARRIER_WAIT = 0.03  # seconds that a turn waits, when it asks for a credential, until the others ask, too
MOST_YIELDS = 6  # rounds of the event loop before a credential is given

CHANNEL, OTHER_CHANNEL = "check", "other"

_numbers = count(1)  # of messages and turns, so that each has its own id


@dataclass(frozen=True, slots=True)
class Role:
    """The place of a person. Several people in different tenants or channels may have one `user` number."""

    channel: str
    tenant: str
    user: int
    conversation: str
    shared: bool


# Any key that is less than the whole identity is the same for two of them: two people in one conversation, one user id
# in two tenants and in two channels, one conversation id in two tenants.
ROLES = (
    Role(CHANNEL, "T1", 0, "C1", shared=True),
    Role(CHANNEL, "T1", 1, "C1", shared=True),
    Role(CHANNEL, "T2", 0, "C1", shared=True),
    Role(OTHER_CHANNEL, "T1", 0, "C1", shared=True),
    Role(CHANNEL, "T1", 4, "D4", shared=False),
    Role(CHANNEL, "T1", 5, "D5", shared=False),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One person in one scene, with marks of their own."""

    number: int
    role: Role
    identity: Identity
    name: str  # which another person has, too
    credential: str = field(repr=False)
    data: str = field(repr=False)

    def message(self, text: str) -> Message:
        role = self.role
        return Message(
            id=f"m{next(_numbers)}",
            text=text,
            sender=self.identity,
            sender_name=self.name,
            conversation=Conversation(role.channel, role.tenant, role.conversation, role.shared),
        )

    def is_identified_by(self, text: str) -> bool:
        """Return whether a text contains this person's whole identity."""
        return all(part in text for part in (self.identity.channel, self.identity.tenant, self.identity.user_id))


def cast(marks: Marks, scene: int, user_ids: Mapping[int, str]) -> list[Person]:
    """Return the people of one scene.

    Args:
        user_ids: the user id of each `Role.user`, the same in every scene.
    """
    return [
        Person(
            number,
            role,
            Identity(role.channel, role.tenant, user_ids[role.user]),
            name=f"Person {number // 2}",
            credential=marks.make(Kind.CREDENTIAL, number, scene),
            data=marks.make(Kind.DATA, number, scene),
        )
        for number, role in enumerate(ROLES)
    ]


class InterruptedTurnError(UnderstudyError):
    """A turn that is made to fail half-way."""


@dataclass
class Manner:
    """How one turn gets its credentials.

    Args:
        yields: how many rounds of the event loop pass before a credential is given.
        barrier: where all turns that ask for a credential wait for each other.
        consent: whether the person has to sign in first.
        fails: whether the request for a credential fails.
    """

    yields: int = 0
    barrier: asyncio.Barrier | None = None
    consent: bool = False
    fails: bool = False

    @classmethod
    def of(cls, chance: random.Random, **options: Any) -> "Manner":
        return cls(yields=chance.randrange(MOST_YIELDS), **options)


class CanarySource:
    """Gives canary credentials for one turn, in the form in which the provider gives real ones."""

    def __init__(self, person: Person, providers: Mapping[str, OAuthProvider], manner: Manner) -> None:
        self._person: Person | None = person
        self._providers = providers
        self._manner = manner
        self._loop = asyncio.get_running_loop()
        self.asked = False

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        self.asked = True
        await self._wait()
        if self._person is None:
            raise CredentialsRefusedError("This turn is over.")
        if self._manner.fails:
            raise InterruptedTurnError("a credential that is refused on purpose")
        if self._manner.consent:
            raise ConsentRequiredError(provider, frozenset(scopes))
        if provider not in self._providers:
            return self._person.credential
        token = Token(
            access_token=self._person.credential,
            refresh_token=None,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            scopes=frozenset(scopes),
            account=f"person{self._person.number}@example.com",
        )
        return self._providers[provider].credentials(token)

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        coroutine = self.credentials(provider, scopes, renew=renew)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return self._person is not None and not self._manner.consent

    def end(self) -> None:
        self._person = None

    async def _wait(self) -> None:
        for _ in range(self._manner.yields):
            await asyncio.sleep(0)
        if self._manner.barrier is not None:
            try:
                async with asyncio.timeout(BARRIER_WAIT):
                    await self._manner.barrier.wait()
            except (TimeoutError, asyncio.BrokenBarrierError):  # one turn does not ask, so the others stop waiting
                await self._manner.barrier.abort()


class _Nobody:
    """A sender that drops the messages that tools send besides their answer."""

    async def send(self, *_: Any, **__: Any) -> str:
        return "check"


_NOBODY = _Nobody()


def context_of(person: Person, text: str, source: CanarySource) -> TurnContext:
    message = person.message(text)
    return TurnContext(
        identity=person.identity,
        conversation=message.conversation,
        message=message,
        deadline=datetime.now(UTC) + DEADLINE,
        reference=f"check-{next(_numbers)}",
        credential_source=source,
        message_sender=_NOBODY,
    )
