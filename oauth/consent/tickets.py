"""Tickets for sign-in links, which buttons carry in places that several people read."""

from itsdangerous import Signer

from oauth.consent.providers import ProviderRegistry
from oauth.identity import Identity
from oauth.store.keyring import Keyring


class SignInTickets:
    """Signs tickets that everybody may see and that give a sign-in link to one person alone."""

    def __init__(self, keyring: Keyring, providers: ProviderRegistry) -> None:
        self._signing_keys = keyring.signing_keys()
        self._providers = providers

    def issue(self, identity: Identity, provider: str) -> str:
        """Return a ticket for a person: letters, digits, `-` and `_`, at most 64 of them.

        That is what a Telegram start parameter takes (https://core.telegram.org/bots/features#deep-linking).
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
