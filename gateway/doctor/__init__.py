"""`understudy doctor`: look for everything that is wrong with a set-up, and say what to do."""

from gateway.doctor.examination import examine, has_problem, load_set_up

__all__ = ["examine", "has_problem", "load_set_up"]
