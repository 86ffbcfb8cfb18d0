"""Tokens, as providers issue them."""

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Token:
    """What a provider granted for one person: the answer of its token endpoint (RFC 6749, section 5.1).

    Args:
        expires_at: an aware datetime in UTC; `None` if the access token does not expire.
        scopes: the scopes that were granted.
        account: the account's name at the provider: at Google, its e-mail address.
        email: the account's verified address, if the provider is the authority for that address.
        declined: the scopes that were asked for and not granted.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None
    scopes: frozenset[str]
    account: str
    email: str | None = None
    declined: frozenset[str] = frozenset()

    def to_json(self) -> bytes:
        """Return the token in the form that is encrypted and stored."""
        return _adapter.dump_json(self)

    @staticmethod
    def from_json(data: bytes) -> "Token":
        """Return the token that `to_json` wrote."""
        return _adapter.validate_json(data)


_adapter = TypeAdapter(Token)
