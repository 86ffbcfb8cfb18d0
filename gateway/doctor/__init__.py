"""`understudy doctor`: look for everything that is wrong with a set-up, and say what to do."""

from gateway.doctor.examination import examine, has_problem

__all__ = ["examine", "has_problem"]
