from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Token:
    """What a provider granted for one person: the answer of its token endpoint (RFC 6749, section 5.1).

    `expires_at` is aware, in UTC; `account` is what the person calls the account, an e-mail address at Google.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    scopes: frozenset[str]
    account: str

    def to_json(self) -> bytes:
        return _adapter.dump_json(self)

    @staticmethod
    def from_json(data: bytes) -> "Token":
        return _adapter.validate_json(data)


_adapter = TypeAdapter(Token)
