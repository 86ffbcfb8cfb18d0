"""What the gateway itself says to people, without an agent."""

from collections.abc import Sequence

from gateway.agents.agent import Agent
from gateway.turns.questions.tools import LONGEST_CHOICE
from oauth import Account, CodeEntry

NO_ANSWER = "I have no answer to that."
CANNOT_ANSWER_PRIVATELY = (
    "The answer is private, and I cannot tell who you are here. Write to me directly, as yourself."
)
NOTHING_HELD = "There is no answer waiting for you any more."
FAILED = "Sorry, something went wrong and I could not answer that (reference {reference})."
INTERRUPTED = "I was interrupted while I used {tools}. I cannot tell whether that was done, so I did not repeat it."
TOO_SLOW = "Sorry, that took too long and I gave up (reference {reference})."
NEW_SESSION = "This is a new conversation: I no longer see what was said before."
WHICH_ACCOUNT = "Which account shall I disconnect?"
NO_ACCOUNT = "You have no account connected. I will ask you when I need one."
CODE_IN_PRIVATE = "Please send me that code in a direct message, where you got the link."
NO_SIGN_IN = "You have no open sign-in for that code. It may be somebody else's, or it has expired."
ANSWER_IN_PRIVATE = "Please answer that in a direct message, where I asked you."
STOPPED = "Stopped."
NOTHING_TO_STOP = "There is nothing to stop."
NOT_YOURS = "This button was made for somebody else. Write to me yourself to get your own."


def with_interrupted(text: str, tools: Sequence[str]) -> str:
    """Add a sentence to a text that names the tools with a call that may or may not have taken effect."""
    names = " and ".join(dict.fromkeys(f"`{tool}`" for tool in tools))
    return f"{text}\n\n{INTERRUPTED.format(tools=names)}" if names else text


def stopped(text: str) -> str:
    """Mark the text of a stopped turn as stopped, and close a code block that is still open.

    Args:
        text: the text so far, in markdown; it may be empty.
    """
    fences = sum(line.lstrip().startswith("```") for line in text.splitlines())
    said = f"{text.strip()}\n```" if fences % 2 else text.strip()
    return f"{said}\n\n({STOPPED})" if said else STOPPED


def entered(code: CodeEntry, label: str) -> str:
    """Return the answer to a sign-in code.

    Args:
        code: the result of the code.
        label: the name of the provider for people.
    """
    if code.provider is not None:
        return f"Your {label} account {code.account} is connected."
    if code.tries_left:
        return f"That is not the code. Tries left: {code.tries_left}."
    return "That was the last try, so nothing was connected. Ask again to get a new link."


def greeting(agent: Agent) -> str:
    """Return the introduction of an agent."""
    return f"Hello, I am {agent.name}. {_purpose(agent)}"


def usage(agent: Agent) -> str:
    """Return the answer to /help."""
    return (
        f"{_purpose(agent)} Send /new to begin a new conversation, /stop to stop what I am doing, and /accounts to see "
        "what you have connected."
    )


def accounts(connected: Sequence[Account]) -> str:
    """Return the answer to /accounts, in markdown."""
    if not connected:
        return NO_ACCOUNT
    lines = [f"- **{account.label}**: {account.account}{_since(account)}. {_may(account)}" for account in connected]
    last = f"To disconnect an account, send for example /disconnect {connected[0].provider}."
    return "\n".join(("You have connected:\n", *lines, "", last))


def named(account: Account) -> str:
    """Return the label of an account as a choice, in plain text."""
    return f"{account.label}: {account.account}"[:LONGEST_CHOICE]


def which(connected: Sequence[Account]) -> str:
    """Return the answer to a /disconnect that names no connected account."""
    names = " or ".join(f"/disconnect {account.provider}" for account in connected)
    return f"Which one? Send {names}." if connected else NO_ACCOUNT


def disconnected(label: str, account: str) -> str:
    """Return the answer to a successful /disconnect."""
    return f"Your {label} account {account} is disconnected: I have deleted my access to it."


def _since(account: Account) -> str:
    return f", since {account.connected_at:%-d %B %Y}" if account.connected_at is not None else ""


def _may(account: Account) -> str:
    return f"I may {', '.join(account.permissions)}." if account.permissions else ""


def _purpose(agent: Agent) -> str:
    return f"{agent.description} Just write to me.".strip()
