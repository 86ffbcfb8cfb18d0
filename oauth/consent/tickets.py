"""Tickets for sign-in links: buttons carry them in places that several people read."""

from itsdangerous import Signer

from oauth.consent.providers import ProviderRegistry
from oauth.identity import Identity
from oauth.store.keyring import Keyring


class SignInTickets:
    """Signs tickets that anybody may see, but that only one person can exchange for a sign-in link."""

    def __init__(self, keyring: Keyring, providers: ProviderRegistry) -> None:
        self._signing_keys = keyring.signing_keys()
        self._providers = providers

    def issue(self, identity: Identity, provider: str) -> str:
        """Return a ticket for a person: at most 64 letters, digits, `-` and `_`.

        A Telegram start parameter may contain no more (https://core.telegram.org/bots/features#deep-linking).
        """
        return f"{provider}-{self._signer(identity).get_signature(provider).decode()}"

    def redeem(self, ticket: str, identity: Identity) -> str | None:
        """Return the provider that a ticket is for; `None` if the ticket was not issued for `identity`."""
        provider, _, signature = ticket.partition("-")
        if self._providers.get(provider) is None:
            return None
        return provider if self._signer(identity).verify_signature(provider, signature) else None

    def _signer(self, identity: Identity) -> Signer:
        salt = "\0".join(("sign-in ticket", identity.channel, identity.tenant, identity.user_id))
        return Signer(self._signing_keys, salt=salt)
