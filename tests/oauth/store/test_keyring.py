"""A keyring encrypts with its first key, and decrypts with all of its keys."""

import base64

import pytest

from oauth import Keyring, SettingError
from oauth.store.keyring import DecryptionError


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = Keyring.generate(), Keyring.generate()
    sealed = Keyring.parse(old).encrypt(b"secret", "row")
    assert Keyring.parse(f"{new}, {old}").decrypt(sealed, "row") == b"secret"
    newly = Keyring.parse(f"{new},{old}").encrypt(b"secret", "row")
    with pytest.raises(DecryptionError):
        Keyring.parse(old).decrypt(newly, "row")


def test_a_ciphertext_opens_only_in_its_own_row_and_unaltered() -> None:
    keyring = Keyring.parse(Keyring.generate())
    sealed = keyring.encrypt(b"secret", "alice")
    for wrong, row in ((sealed, "bob"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), "alice"), (b"", "alice")):
        with pytest.raises(DecryptionError):
            keyring.decrypt(wrong, row)


def test_associated_parts_cannot_be_shifted_into_each_other() -> None:
    keyring = Keyring.parse(Keyring.generate())
    sealed = keyring.encrypt(b"secret", "a", "bc")
    with pytest.raises(DecryptionError):
        keyring.decrypt(sealed, "ab", "c")


@pytest.mark.parametrize("text", ["", "hushhush", "not base64!", base64.urlsafe_b64encode(b"x" * 31).decode()])
def test_a_malformed_key_is_named_and_not_printed(text: str) -> None:
    with pytest.raises(SettingError, match="UNDERSTUDY_SECRET_KEY") as raised:
        Keyring.parse(text)
    assert not text or text not in str(raised.value)


def test_a_key_without_padding_is_accepted() -> None:
    text = Keyring.generate()
    sealed = Keyring.parse(text).encrypt(b"secret")
    assert Keyring.parse(text.rstrip("=")).decrypt(sealed) == b"secret"
