"""Ask the person of the running turn from a flow."""

from collections.abc import Sequence
from datetime import timedelta

from gateway.runs.calls import NO_CALL, calling, in_call
from gateway.runs.flow_turn import running_turn
from toolkits import ToolError
from toolkits.context import NOBODY_TO_ASK, ONE_DAY


async def ask(
    question: str, choices: Sequence[str] = (), *, free_text: bool | None = None, within: timedelta = ONE_DAY
) -> str:
    """Ask the person of the running turn a question, and return the answer: see `TurnContext.ask`.

    When the person has answered, the flow runs again from its beginning. Calls of agents that had ended are not
    repeated: their recorded answers are used. Several questions are told apart by their order.

    Raises:
        ToolError: see `TurnContext.ask`; also if no turn is running.
    """
    turn = running_turn()
    if turn is None:
        raise ToolError(NOBODY_TO_ASK)
    with in_call(calling.get() or NO_CALL):
        return await turn.context.ask(question, choices, free_text=free_text, within=within)
