"""Phases of flows."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

from gateway.runs.events import EventHandler, PhaseEnded, PhaseStarted, ignore
from gateway.runs.flow_turn import (
    context_variables,
    current_in_phase,
    current_phase_session,
    history_access,
    running_turn,
    unshared_history,
)
from gateway.runs.items import Role
from gateway.runs.session import PhaseSession

log = logging.getLogger(__name__)


@asynccontextmanager
async def phase(label: str, *, share_context: bool = True, persist: bool = False) -> AsyncIterator[PhaseSession | None]:
    """Run a block of a flow as a phase, which channels show by its label.

    Calls in the phase read the history as it was when the phase began.

    Args:
        share_context: whether the calls write to a history of the phase, which later calls in the phase read as well.
            The block then gets a `PhaseSession`. Otherwise the calls write nothing, and the block gets `None`.
        persist: whether the last answer of the phase is added to the surrounding history when the phase ends.
    """
    around = history_access()
    before = tuple(around.read())
    inner = PhaseSession(label, before) if share_context else None
    turn, began = running_turn(), time.monotonic()
    handler: EventHandler = turn.handler if turn is not None else ignore
    variables: dict[ContextVar[Any], Any] = {
        current_phase_session: inner,
        current_in_phase: True,
        unshared_history: before,
    }
    try:
        with context_variables(variables):
            await handler(PhaseStarted(label))
            yield inner
            answers = [item for item in inner.added if item.role is Role.ASSISTANT] if inner is not None else []
            if persist and around.target is not None:
                around.target.begin().extend(answers[-1:])
    except BaseException:
        try:
            await handler(PhaseEnded(label, _milliseconds_since(began)))
        except Exception:  # only logged, so that the exception that ended the phase is raised
            log.exception("the handler failed at the end of the phase %r", label)
        raise
    else:
        await handler(PhaseEnded(label, _milliseconds_since(began)))


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
