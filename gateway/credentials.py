from collections.abc import Iterable
from typing import Any

from oauth import CredentialsRefused, OAuthCoordinator
from toolkits import Message


class TurnCredentials:
    """Gives the tools of one turn the credentials of its sender, from the store, until the turn is over.

    `used` tells whether they were asked for: what such a turn says is its sender's own.
    """

    def __init__(self, oauth: OAuthCoordinator | None, message: Message) -> None:
        self._oauth = oauth
        self._message = message
        self._over = False
        self.used = False

    async def credentials(self, provider: str, scopes: Iterable[str], *, renew: bool) -> Any:
        if self._over:
            raise CredentialsRefused("This turn is over.")
        if self._message.anonymous:
            raise CredentialsRefused(
                "I cannot tell who you are when you write as a group or a channel, so I use nobody's account. "
                "Write as yourself to use yours."
            )
        if self._oauth is None:
            raise CredentialsRefused("No account can be connected here.")
        self.used = True
        return await self._oauth.credentials(self._message.sender, provider, scopes, renew=renew)

    def end(self) -> None:
        self._over = True
