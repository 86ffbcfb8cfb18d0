"""The cookie of a sign-in."""

from oauth import Identity
from oauth.consent.cookies import ConsentCookies
from oauth.consent.sign_in import Consent
from oauth.store.keyring import Keyring


def test_a_cookie_is_valid_for_one_sign_in_as_long_as_its_code() -> None:
    keyring = Keyring.parse(Keyring.generate())
    cookies = ConsentCookies(keyring, lifetime=600)
    consent = Consent("Fake", "alice", "Alice", Identity("stage", "T1", "alice"), ["read"], "12345678")
    kept = cookies.seal("fake", "state", consent)
    assert cookies.open("fake", "state", kept) == consent
    others = [("google", "state", kept), ("fake", "other", kept), ("fake", "\u00e9", kept), ("fake", "", "")]
    others += [("fake", "state", broken) for broken in (kept[:-2], "A" + kept[1:], "\u00e9", "=", "A")]
    assert [cookies.open(*other) for other in others] == [None] * len(others)
    over = ConsentCookies(keyring, lifetime=0)
    assert over.open("fake", "state", over.seal("fake", "state", consent)) is None
