"""The ChatKit channel: OpenAI's chat component in the page of a host application."""

from interfaces.chatkit.interface import ChatKit
from interfaces.chatkit.parse import Person

__all__ = ["ChatKit", "Person"]
