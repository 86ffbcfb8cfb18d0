"""A web chat for development."""

from interfaces.web.interface import Web

__all__ = ["Web"]
