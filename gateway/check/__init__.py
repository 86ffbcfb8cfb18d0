"""The leak check: find data of one person that reaches another, or stays where it could."""

from gateway.check.hunt import hunt
from gateway.check.report import Leak, LeakKind, Report

__all__ = ["Leak", "LeakKind", "Report", "hunt"]
