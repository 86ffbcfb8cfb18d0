"""The keys of UNDERSTUDY_SECRET_KEY, which encrypt and sign."""

import base64
import binascii
import json
import os
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from oauth.errors import SettingError, UnderstudyError, WrongSetting

KEY_LENGTH = 32  # bytes: AES-256
NONCE_LENGTH = 12  # bytes, as NIST SP 800-38D recommends for GCM

_SETTING = WrongSetting("UNDERSTUDY_SECRET_KEY", "Make one with `understudy keys new`.", is_missing=False)


class DecryptionError(UnderstudyError):
    """No key of the ring decrypts this ciphertext with this associated data."""


class Keyring:
    """Keys that encrypt and sign what is stored or handed out. The first encrypts, all decrypt.

    Encryption is AES-256-GCM with a random nonce (NIST SP 800-38D). Signatures use keys that are derived from these
    with HKDF (RFC 5869), so that no key serves two purposes.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self._ciphers = tuple(AESGCM(key) for key in self._keys)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse comma-separated keys of 32 bytes each, in url-safe base64.

        Raises:
            SettingError: naming the position of the key that is malformed, never the key.
        """
        keys = []
        for place, part in enumerate(text.split(","), start=1):
            encoded = part.strip().rstrip("=")
            try:
                key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                raise _malformed(f"key {place} is not url-safe base64") from None
            if len(key) != KEY_LENGTH:
                raise _malformed(f"key {place} has {len(key)} bytes, but {KEY_LENGTH} are needed")
            keys.append(key)
        return cls(keys)

    @staticmethod
    def generate() -> str:
        """Return a new key in the form that `parse` reads."""
        return base64.urlsafe_b64encode(os.urandom(KEY_LENGTH)).decode()

    def encrypt(self, plaintext: bytes, *associated: str) -> bytes:
        """Encrypt with the first key. `associated` names the row that the ciphertext belongs to."""
        nonce = os.urandom(NONCE_LENGTH)
        return nonce + self._ciphers[0].encrypt(nonce, plaintext, _associated_data(associated))

    def decrypt(self, ciphertext: bytes, *associated: str) -> bytes:
        """Decrypt what `encrypt` returned, with the key that fits.

        Raises:
            DecryptionError: if no key does, or the ciphertext was altered or moved to another row.
        """
        nonce, sealed = ciphertext[:NONCE_LENGTH], ciphertext[NONCE_LENGTH:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, _associated_data(associated))
            except (InvalidTag, ValueError):  # ValueError: it is shorter than a nonce
                continue
        raise DecryptionError

    def rotate(self, ciphertext: bytes, *associated: str) -> bytes | None:
        """Encrypt a ciphertext anew with the first key; return `None` if it is encrypted with that key already.

        Raises:
            DecryptionError: as `decrypt`.
        """
        if self._is_current(ciphertext, associated):
            return None
        return self.encrypt(self.decrypt(ciphertext, *associated), *associated)

    def _is_current(self, ciphertext: bytes, associated: Sequence[str]) -> bool:
        nonce, sealed = ciphertext[:NONCE_LENGTH], ciphertext[NONCE_LENGTH:]
        try:
            self._ciphers[0].decrypt(nonce, sealed, _associated_data(associated))
        except (InvalidTag, ValueError):
            return False
        return True

    def signing_keys(self) -> list[bytes]:
        """Return keys for itsdangerous, which signs with the last key of the list and accepts all keys."""
        return [_derive(key, b"understudy signing") for key in reversed(self._keys)]


def _associated_data(parts: Sequence[str]) -> bytes:
    return json.dumps(parts, ensure_ascii=False).encode()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_LENGTH, salt=None, info=purpose).derive(key)


def _malformed(problem: str) -> SettingError:
    return SettingError(f"{_SETTING.name}: {problem}. {_SETTING.advice}", _SETTING)
