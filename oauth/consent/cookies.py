import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hmac import compare_digest

from pydantic import TypeAdapter

from oauth.identity import Identity
from oauth.store.keyring import DecryptionError, Keyring
from oauth.store.pending import CODE_LIFETIME

PURPOSE = "consent page"


@dataclass(frozen=True, slots=True)
class Consent:
    """The result of a callback, for the page that the person in the browser reads.

    Args:
        account: the account that they signed in with.
        name: what the channel shows for the person in the chat.
        identity: that person.
        permissions: what the agent may do, in words.
        code: what they send in the chat to show that both are one; `None` if the account is connected.
    """

    label: str
    account: str
    name: str
    identity: Identity
    permissions: Sequence[str]
    code: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A consent as the browser keeps it, with the state of the callback that it came with."""

    state: str = field(repr=False)
    consent: Consent
    expires_at: datetime


_adapter = TypeAdapter(_Kept)


class ConsentCookies:
    """Encrypts consents for a cookie, so that the browser that made one can load its page again.

    The state of a callback still serves once. Only the browser that it served has the cookie.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, provider: str, state: str, consent: Consent) -> str:
        """Return the value of a cookie, which is good as long as the code is."""
        kept = _Kept(state, consent, datetime.now(UTC) + CODE_LIFETIME)
        sealed = self._keyring.encrypt(_adapter.dump_json(kept), PURPOSE, provider)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, provider: str, state: str, cookie: str) -> Consent | None:
        """Return the consent that a state was used for; `None` if the cookie is another one's, forged or expired."""
        try:
            sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            kept = _adapter.validate_json(self._keyring.decrypt(sealed, PURPOSE, provider))
        except (DecryptionError, binascii.Error, ValueError):
            return None
        is_of_state = compare_digest(kept.state.encode(), state.encode())
        return kept.consent if is_of_state and kept.expires_at > datetime.now(UTC) else None
