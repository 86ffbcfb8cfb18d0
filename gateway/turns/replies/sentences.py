"""Sentences of the gateway itself, which no agent has written."""

from collections.abc import Sequence

from gateway.agents.agent import Agent
from gateway.turns.questions.tools import LONGEST_CHOICE
from oauth import Account, CodeEntry

NO_ANSWER = "I have no answer to that."
NOBODY_ALONE = (
    "The answer is for one person alone, and I cannot tell who you are here. Write to me directly, as yourself."
)
NOTHING_HELD = "No answer waits for you any more."
FAILED = "Sorry, something went wrong and I could not answer that (reference {reference})."
INTERRUPTED = "I was interrupted while I used {tools}: I cannot tell whether that was done, and did not repeat it."
TOO_SLOW = "Sorry, that took too long and I gave up (reference {reference})."
NEW_SESSION = "A new conversation begins: I no longer see what was said before."
WHICH_ACCOUNT = "Which account shall I disconnect?"
NO_ACCOUNT = "You have connected no account. I ask you to when I need one."
CODE_IN_PRIVATE = "Send me that code in a direct message, where you got the link."
NO_SIGN_IN = "No sign-in of yours waits for that code. It may be somebody else's, or it has expired."
ANSWER_IN_PRIVATE = "Answer that in a direct message, where I asked you."
STOPPED = "Stopped."
NOTHING_TO_STOP = "There is nothing to stop."
NOT_YOURS = "This button was made for somebody else. Write to me yourself to get your own."


def with_interrupted(text: str, tools: Sequence[str]) -> str:
    """Add to a text which tools were cut off, so that their calls may or may not have been done."""
    names = " and ".join(dict.fromkeys(f"`{tool}`" for tool in tools))
    return f"{text}\n\n{INTERRUPTED.format(tools=names)}" if names else text


def stopped(text: str) -> str:
    """Return what was said before a turn was stopped, with a mark that it was; a block of code that is open is closed.

    Args:
        text: in markdown; empty if nothing was said.
    """
    fences = sum(line.lstrip().startswith("```") for line in text.splitlines())
    said = f"{text.strip()}\n```" if fences % 2 else text.strip()
    return f"{said}\n\n({STOPPED})" if said else STOPPED


def entered(code: CodeEntry, label: str) -> str:
    """Return the answer to a code that somebody sent.

    Args:
        label: what people call the provider.
    """
    if code.provider is not None:
        return f"Your {label} account {code.account} is connected."
    if code.tries_left:
        return f"That is not the code. Tries left: {code.tries_left}."
    return "That was the last try, so nothing was connected. Ask again to get a new link."


def greeting(agent: Agent) -> str:
    """Return what the agent says of itself to somebody who says nothing."""
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
    return "\n".join(("You have connected:\n", *lines, "", f"To end that, send /disconnect {connected[0].provider}."))


def named(account: Account) -> str:
    """Return an account as a choice, in plain text."""
    return f"{account.label}: {account.account}"[:LONGEST_CHOICE]


def which(connected: Sequence[Account]) -> str:
    """Return the answer to /disconnect where it names an account that the person does not have."""
    names = " or ".join(f"/disconnect {account.provider}" for account in connected)
    return f"Which one? Send {names}." if connected else NO_ACCOUNT


def disconnected(label: str, account: str) -> str:
    """Return the answer to /disconnect where it ended an account."""
    return f"Your {label} account {account} is disconnected: I have deleted what I could use it with."


def _since(account: Account) -> str:
    return f", since {account.connected_at:%-d %B %Y}" if account.connected_at is not None else ""


def _may(account: Account) -> str:
    return f"I may {', '.join(account.permissions)}." if account.permissions else ""


def _purpose(agent: Agent) -> str:
    return f"{agent.description} Just write to me.".strip()
