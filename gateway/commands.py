"""The commands that the gateway answers itself: `/start`, `/help` and `/new`."""

from gateway.agent import Agent
from oauth import Entered

NEW_SESSION = "A new conversation begins: I no longer see what was said before."
CODE_IN_PRIVATE = "Send me that code in a direct message, where you got the link."
NOT_YOURS = "This button was made for somebody else. Write to me yourself to get your own."


def entered(code: Entered, label: str) -> str:
    """What is said to a person who sent a code."""
    if code.provider is not None:
        return f"Your {label} account {code.account} is connected."
    if code.tries_left:
        return f"That is not the code. Tries left: {code.tries_left}."
    return "That was the last try, so nothing was connected. Ask again to get a new link."


def greeting(agent: Agent) -> str:
    return f"Hello, I am {agent.name}. {_purpose(agent)}"


def usage(agent: Agent) -> str:
    return f"{_purpose(agent)} Send /new to begin a new conversation."


def _purpose(agent: Agent) -> str:
    return f"{agent.description} Just write to me.".strip()
