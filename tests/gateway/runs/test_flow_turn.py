"""The context variables of a flow."""

import asyncio
from typing import Any

from gateway import (
    Message,
    PhaseEnded,
    PhaseStarted,
    Runner,
    Session,
    current_handler,
    current_in_phase,
    current_phase_session,
    current_session,
    phase,
)


def variables() -> tuple[Any, ...]:
    return (current_session.get(), current_handler.get(), current_phase_session.get(), current_in_phase.get())


async def test_the_context_variables_have_their_values_in_threads_too() -> None:
    session, told = Session(), list[Any]()

    async def flow(message: Message) -> str:
        assert variables() == (session, told.append, None, False)
        async with phase("Work") as p:
            assert await asyncio.to_thread(variables) == (session, told.append, p, True)
            pooled = asyncio.get_running_loop().run_in_executor(None, variables)
            assert await pooled == (session, told.append, p, True)
            async with phase("Alone", share_context=False):
                assert variables() == (session, told.append, None, True)
        return "done"

    await Runner(flow, session=session, handler=told.append).run("go")
    assert variables() == (None, None, None, False)
    labels = [(type(event), event.label) for event in told]
    assert labels == [
        (PhaseStarted, "Work"),
        (PhaseStarted, "Alone"),
        (PhaseEnded, "Alone"),
        (PhaseEnded, "Work"),
    ]
    assert all(event.elapsed_ms >= 0 for event in told if isinstance(event, PhaseEnded))
