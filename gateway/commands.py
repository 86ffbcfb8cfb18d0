"""The commands that the gateway answers itself: `/start`, `/help` and `/new`."""

from gateway.agent import Agent

NEW_SESSION = "A new conversation begins: I no longer see what was said before."
NOT_YOURS = "This button was made for somebody else. Write to me yourself to get your own."


def greeting(agent: Agent) -> str:
    return f"Hello, I am {agent.name}. {_purpose(agent)}"


def usage(agent: Agent) -> str:
    return f"{_purpose(agent)} Send /new to begin a new conversation."


def _purpose(agent: Agent) -> str:
    return f"{agent.description} Just write to me.".strip()
