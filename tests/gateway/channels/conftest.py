from support.channels.running import run

__all__ = ["run"]
