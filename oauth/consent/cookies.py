"""A cookie with the result of a callback, so that the browser can reload the page that follows it."""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from pydantic import TypeAdapter

from oauth.consent.sign_in import Consent
from oauth.store.keyring import DecryptionError, Keyring

PURPOSE = "consent page"


@dataclass(frozen=True, slots=True)
class _Content:
    """The content of the cookie: a consent, and the state of the callback that it came from."""

    state: str = field(repr=False)
    consent: Consent
    expires_at: datetime


_adapter = TypeAdapter(_Content)


class ConsentCookies:
    """Encrypts consents for a cookie, and decrypts them again.

    A state can be used only once; the cookie shows the result again, but only in the browser that used the state.

    Args:
        lifetime: seconds for which a cookie is valid: as long as the code in it.
    """

    def __init__(self, keyring: Keyring, lifetime: float) -> None:
        self._keyring = keyring
        self.lifetime = lifetime

    def seal(self, provider: str, state: str, consent: Consent) -> str:
        """Return the value of a cookie that holds a consent."""
        content = _Content(state, consent, datetime.now(UTC) + timedelta(seconds=self.lifetime))
        sealed = self._keyring.encrypt(_adapter.dump_json(content), PURPOSE, provider)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, provider: str, state: str, cookie: str) -> Consent | None:
        """Return the consent in a cookie; `None` if it is forged, expired, or of another state or provider."""
        try:
            sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            content = _adapter.validate_json(self._keyring.decrypt(sealed, PURPOSE, provider))
        except (DecryptionError, binascii.Error, ValueError):
            return None
        is_of_state = compare_digest(content.state.encode(), state.encode())
        return content.consent if is_of_state and content.expires_at > datetime.now(UTC) else None
