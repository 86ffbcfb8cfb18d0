from interfaces.web.interface import Web

__all__ = ["Web"]
