"""The gateway: one agent behind many channels, a fresh copy of it for every message."""

from gateway.agent import Agent
from gateway.gateway import Gateway
from oauth import Identity, SettingError
from toolkits import CloneError, Conversation, Message, TurnContext

__all__ = [
    "Agent",
    "CloneError",
    "Conversation",
    "Gateway",
    "Identity",
    "Message",
    "SettingError",
    "TurnContext",
]
