"""The gateway: one agent behind many channels, a fresh copy of it for every message."""

from gateway.agent import Agent
from gateway.engines import MaxTurnsExceeded
from gateway.events import (
    Answered,
    ApprovalNeeded,
    PhaseEnded,
    PhaseStarted,
    SignInNeeded,
    TextDelta,
    ToolEnded,
    ToolStarted,
    TurnEvent,
)
from gateway.flow import (
    AgentCall,
    current_handler,
    current_in_phase,
    current_phase_session,
    current_session,
    phase,
)
from gateway.flow_runner import Runner
from gateway.gateway import Gateway
from gateway.history import PhaseSession, Session
from gateway.routing import Route
from gateway.sessions import SessionItem
from oauth import Identity, SettingError
from toolkits import CloneError, Conversation, Message, TurnContext

__all__ = [
    "Agent",
    "AgentCall",
    "Answered",
    "ApprovalNeeded",
    "CloneError",
    "Conversation",
    "Gateway",
    "Identity",
    "MaxTurnsExceeded",
    "Message",
    "PhaseEnded",
    "PhaseSession",
    "PhaseStarted",
    "Route",
    "Runner",
    "Session",
    "SessionItem",
    "SettingError",
    "SignInNeeded",
    "TextDelta",
    "ToolEnded",
    "ToolStarted",
    "TurnContext",
    "TurnEvent",
    "current_handler",
    "current_in_phase",
    "current_phase_session",
    "current_session",
    "phase",
]
