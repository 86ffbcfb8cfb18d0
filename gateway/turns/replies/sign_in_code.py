"""Take the code from the page that follows a sign-in."""

from gateway.turns.replies import sentences
from gateway.turns.turn import Turn, TurnOutcome
from oauth import OAuthCoordinator
from oauth.store.pending import code_in


class SignInCodeReply:
    """Connects an account when its person sends the code in a direct conversation.

    The code is the text of the message, or the argument of `/start`, which the button of the page sends in Telegram.
    """

    def __init__(self, oauth: OAuthCoordinator) -> None:
        self._oauth = oauth

    async def reply(self, turn: Turn) -> TurnOutcome | None:
        message = turn.message
        given = message.argument if message.command == "start" else message.text
        code = code_in(given)
        if message.anonymous or code is None:
            return None
        if message.conversation.shared:
            is_expected = await self._oauth.awaits_code(message.sender)
            return TurnOutcome(sentences.CODE_IN_PRIVATE) if is_expected else None
        entry = await self._oauth.confirm(message.sender, code)
        if entry is None:  # a plain number may mean something else
            return None if given.strip()[0].isdigit() and message.command is None else TurnOutcome(sentences.NO_SIGN_IN)
        label = self._oauth.label(entry.provider) if entry.provider is not None else ""
        return TurnOutcome(sentences.entered(entry, label))
