"""Answer the commands that every bot has: /start, /help, /new, /stop, /accounts and /disconnect."""

from gateway.channels.presenter import HELD_ANSWER
from gateway.runs.items import Role, SessionItem
from gateway.runs.journal import Ask, AskRequiredError, ask_key
from gateway.turns.replies import sentences
from gateway.turns.turn import Turn, TurnOutcome
from oauth import Account, OAuthCoordinator
from toolkits import Message
from toolkits.context import ONE_DAY


class CommandReply:
    """Answers the built-in commands.

    Args:
        oauth: `None` if no toolkit needs an account.
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
            case "stop":  # a /stop that stops a turn is joined to that turn, and does not get here
                return TurnOutcome(sentences.NOTHING_TO_STOP)
            case "help":
                return TurnOutcome(sentences.usage(agent))
            case "accounts":
                return TurnOutcome(sentences.accounts(await self._connected(message)), only_to_sender=True)
            case "disconnect":
                return await self._disconnect(turn)
        if message.argument == HELD_ANSWER:
            return TurnOutcome()  # the end of the turn releases the answer
        if message.argument and self._oauth is not None:
            provider = self._oauth.redeem(message.argument, message.sender)
            return TurnOutcome(sentences.NOT_YOURS) if provider is None else TurnOutcome(sign_in=provider)
        return TurnOutcome(sentences.greeting(agent))

    async def _connected(self, message: Message) -> list[Account]:
        return [] if self._oauth is None or message.anonymous else await self._oauth.accounts(message.sender)

    async def _disconnect(self, turn: Turn) -> TurnOutcome:
        """Disconnect the account that the sender names, or the only account. If there are several, ask which one."""
        message, connected = turn.message, await self._connected(turn.message)
        wanted = message.argument.casefold()
        chosen = [account for account in connected if wanted in (account.provider, account.label.casefold())]
        if not wanted and len(connected) == 1:
            chosen = connected
        elif not wanted and connected:
            await turn.journal.load()
            ask = Ask(sentences.WHICH_ACCOUNT, tuple(map(sentences.named, connected)), False, ONE_DAY)
            answered = turn.journal.answer(ask_key("", 1), ask)
            if answered is None:
                return TurnOutcome(parked=AskRequiredError("", ask, private=True))
            if answered.choice is None:
                return TurnOutcome()  # the person has not answered in time, and does not wait for a reply any more
            chosen = [connected[answered.choice]]
        if not chosen or self._oauth is None:
            return TurnOutcome(sentences.which(connected), only_to_sender=True)
        await self._oauth.disconnect(message.sender, chosen[0].provider)
        return TurnOutcome(sentences.disconnected(chosen[0].label, chosen[0].account), only_to_sender=True)
