from interfaces_run import run

__all__ = ["run"]
