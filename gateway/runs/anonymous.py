"""The context of runs outside any turn: they act for nobody and have no accounts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.timings import DEFAULT_TIMINGS
from oauth import CredentialsRefusedError, Identity
from toolkits import Conversation, Message, TurnContext

OUTSIDE_TURN = "No account can be used for this step, because it ran outside the turn of a message."


class NoCredentials:
    """A source of credentials that refuses every request."""

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        raise CredentialsRefusedError(OUTSIDE_TURN)

    def credentials_sync(self, provider: str, scopes: Iterable[str], *, renew: bool, timeout: float) -> Any:
        raise CredentialsRefusedError(OUTSIDE_TURN)

    async def is_connected(self, provider: str, scopes: Iterable[str]) -> bool:
        return False


def anonymous_context(text: str) -> TurnContext:
    """Return the context of a run on a text outside any turn: it has no identity and no accounts."""
    sender, place = Identity("", "", ""), Conversation("", "", "", shared=False)
    message = Message(id="", text=text, sender=sender, sender_name="", conversation=place, anonymous=True)
    return TurnContext(
        identity=sender,
        conversation=place,
        message=message,
        deadline=datetime.now(UTC) + timedelta(seconds=DEFAULT_TIMINGS.turn),
        reference="",
        credential_source=NoCredentials(),
    )
