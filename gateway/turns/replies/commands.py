"""Answer the commands that every bot has: /start, /help, /new, /stop, /accounts and /disconnect."""

from gateway.channels.presenter import HELD_ANSWER
from gateway.runs.items import Role, SessionItem
from gateway.turns.replies import sentences
from gateway.turns.turn import Turn, TurnOutcome
from oauth import OAuthCoordinator
from toolkits import Message


class CommandReply:
    """Answers commands.

    Args:
        oauth: `None` where no toolkit needs an account.
    """

    def __init__(self, oauth: OAuthCoordinator | None) -> None:
        self._oauth = oauth

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        message, agent = turn.message, turn.agent
        match message.command:
            case None:
                return None
            case "new":
                return TurnOutcome(sentences.NEW_SESSION, [SessionItem(Role.NEW, "")])
            case "stop":  # it would have ended with the turn that it stops
                return TurnOutcome(sentences.NOTHING_TO_STOP)
            case "help":
                return TurnOutcome(sentences.usage(agent))
            case "accounts" | "disconnect":
                return TurnOutcome(await self._accounts(message), alone=True)
        if message.argument == HELD_ANSWER:
            return TurnOutcome()  # the end of the turn releases the answer
        if message.argument and self._oauth is not None:
            provider = self._oauth.redeem(message.argument, message.sender)
            return TurnOutcome(sentences.NOT_YOURS) if provider is None else TurnOutcome(sign_in=provider)
        return TurnOutcome(sentences.greeting(agent))

    async def _accounts(self, message: Message) -> str:
        """List the accounts of the sender, or disconnect one."""
        connected = [] if self._oauth is None or message.anonymous else await self._oauth.accounts(message.sender)
        if message.command == "accounts":
            return sentences.accounts(connected)
        wanted = message.argument.casefold()
        chosen = [account for account in connected if wanted in (account.provider, account.label.casefold())]
        if not wanted and len(connected) == 1:
            chosen = connected
        if not chosen or self._oauth is None:
            return sentences.which(connected)
        await self._oauth.disconnect(message.sender, chosen[0].provider)
        return sentences.disconnected(chosen[0].label, chosen[0].account)
