"""The tool call that is running: how it is known, and the credentials of a call that only its framework can tell."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from toolkits.context import CredentialSource, QuestionSource, TurnContext

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The call_id of the running tool call. The audit uses it, and so does the turn, to know which call was refused a
credential. It never decides whose credentials a call is given."""


NO_CALL = ""  # the value of `calling` where certainly no call is running


@contextmanager
def in_call(call_id: str) -> Iterator[None]:
    """Attribute what the block does to a call."""
    outer = calling.set(call_id)
    try:
        yield
    finally:
        calling.reset(outer)


def with_outer(key: str) -> Iterator[str]:
    """Yield the key of a call, then the keys of the calls that it was made in: see `EngineJournal.within`."""
    yield key
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


@dataclass(frozen=True, slots=True)
class CallCredentials:
    """The credentials of a turn, for tools of which the framework, not the context, knows which call is running.

    Args:
        source: the credentials of the turn.
        call_id: returns the id of the call that runs where `call_id` is called, or `None`.
    """

    source: CredentialSource
    call_id: Callable[[], str | None]

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        with _in_call_of(self.call_id):
            return await self.source.credentials(provider, scopes, renew=renew)

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        with _in_call_of(self.call_id):
            return self.source.credentials_sync(provider, scopes, renew=renew, timeout=timeout)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return await self.source.is_connected(provider, scopes)


@dataclass(frozen=True, slots=True)
class CallQuestions:
    """The questions of a turn, as `CallCredentials` are its credentials."""

    source: QuestionSource
    call_id: Callable[[], str | None]

    async def ask(self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta) -> str:
        with _in_call_of(self.call_id):
            return await self.source.ask(question, choices, free_text=free_text, within=within)

    def ask_sync(
        self, question: str, choices: Sequence[str], *, free_text: bool, within: timedelta, timeout: float
    ) -> str:
        with _in_call_of(self.call_id):
            return self.source.ask_sync(question, choices, free_text=free_text, within=within, timeout=timeout)


def in_calls(context: TurnContext, call_id: Callable[[], str | None]) -> TurnContext:
    """Return a context for tools of which the framework knows which call is running.

    Args:
        call_id: as for `CallCredentials`.
    """
    questions = context.question_source
    return replace(
        context,
        credential_source=CallCredentials(context.credential_source, call_id),
        question_source=CallQuestions(questions, call_id) if questions is not None else None,
    )


def _in_call_of(call_id: Callable[[], str | None]) -> AbstractContextManager[None]:
    found = call_id()
    return in_call(found) if found is not None else nullcontext()
