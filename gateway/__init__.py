"""The gateway: one agent behind many channels, a fresh copy of it for every message."""

from typing import TYPE_CHECKING

from oauth.lazy import import_lazily

if TYPE_CHECKING:
    from gateway.agents.agent import Agent
    from gateway.agents.routing import Route
    from gateway.agents.runner import Runner
    from gateway.app.gateway import Gateway
    from gateway.channels.event import Rating
    from gateway.operations.feedback import FeedbackRecord
    from gateway.runs.agent_call import AgentCall
    from gateway.runs.asking import ask
    from gateway.runs.engine import MaxTurnsExceededError
    from gateway.runs.engine import MaxTurnsExceededError as MaxTurnsExceeded  # the former name
    from gateway.runs.events import (
        Answered,
        AnswerNeeded,
        ApprovalNeeded,
        PhaseEnded,
        PhaseStarted,
        SignInNeeded,
        TextDelta,
        TokensUsed,
        ToolEnded,
        ToolStarted,
        TurnEvent,
    )
    from gateway.runs.flow_turn import current_handler, current_in_phase, current_phase_session, current_session
    from gateway.runs.items import SessionItem
    from gateway.runs.phases import phase
    from gateway.runs.session import PhaseSession, Session
    from oauth import Identity, SettingError, UnderstudyError
    from toolkits import CloneError, Conversation, File, Message, Template, TurnContext
else:
    __getattr__ = import_lazily(__name__, __file__)

__all__ = [
    "Agent",
    "AgentCall",
    "AnswerNeeded",
    "Answered",
    "ApprovalNeeded",
    "CloneError",
    "Conversation",
    "FeedbackRecord",
    "File",
    "Gateway",
    "Identity",
    "MaxTurnsExceeded",
    "MaxTurnsExceededError",
    "Message",
    "PhaseEnded",
    "PhaseSession",
    "PhaseStarted",
    "Rating",
    "Route",
    "Runner",
    "Session",
    "SessionItem",
    "SettingError",
    "SignInNeeded",
    "Template",
    "TextDelta",
    "TokensUsed",
    "ToolEnded",
    "ToolStarted",
    "TurnContext",
    "TurnEvent",
    "UnderstudyError",
    "ask",
    "current_handler",
    "current_in_phase",
    "current_phase_session",
    "current_session",
    "phase",
]
