"""Ask the person of the running turn from the code of a flow."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.runs.calls import NO_CALL, calling, in_call
from gateway.runs.flow_turn import running_turn
from toolkits import ToolError
from toolkits.context import NOBODY_TO_ASK, ONE_DAY


async def ask(
    question: str, choices: Sequence[str] = (), *, free_text: bool | None = None, within: timedelta = ONE_DAY
) -> str:
    """Ask the person of the turn that the flow runs in, and return their answer: see `TurnContext.ask`.

    The flow runs again from its beginning when they have answered. The agents that it has called until then are not
    called again, and several questions are told apart by their order.

    Raises:
        ToolError: as `TurnContext.ask`, and outside a turn.
    """
    turn = running_turn()
    if turn is None:
        raise ToolError(NOBODY_TO_ASK)
    with in_call(calling.get() or NO_CALL):
        return await turn.context.ask(question, choices, free_text=free_text, within=within)
