"""Attribute credentials and questions to the tool call that is running."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from toolkits.context import CredentialSource, QuestionSource, TurnContext

calling: ContextVar[str | None] = ContextVar("calling", default=None)
"""The `call_id` of the running tool call. The audit uses it, and the turn finds out with it which call was refused a
credential. It never decides whose credentials a call gets."""


NO_CALL = ""  # the value of `calling` if it is certain that no call is running


@contextmanager
def in_call(call_id: str) -> Iterator[None]:
    """Attribute the actions of the block to a call."""
    outer = calling.set(call_id)
    try:
        yield
    finally:
        calling.reset(outer)


def with_outer(key: str) -> Iterator[str]:
    """Yield the key of a call, then the keys of its outer calls, from inside to outside: see `EngineJournal.within`."""
    yield key
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


@dataclass(frozen=True, slots=True)
class CallCredentials:
    """The credentials of a turn for a framework's own tools, where only the framework knows which call is running.

    Args:
        source: the credentials of the turn.
        call_id: returns the id of the call that is running at that moment; `None` if none is.
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
    """The questions of a turn for a framework's own tools: see `CallCredentials`."""

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
    """Return the context for a framework's own tools, where only the framework knows which call is running.

    Args:
        call_id: see `CallCredentials`.
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
