"""Accounts that people connect: identities, providers, the consent loop and the encrypted token store."""

from oauth.consent.accounts import Account
from oauth.consent.coordinator import OAuthCoordinator
from oauth.consent.hooks import ConsentHooks, Grant
from oauth.errors import (
    AuthorizationFailedError,
    ConsentRequiredError,
    CredentialsRefusedError,
    GrantRevokedError,
    PermissionDeclinedError,
    UnderstudyError,
)
from oauth.identity import Identity
from oauth.provider import OAuthProvider
from oauth.settings import SettingError
from oauth.store.keyring import Keyring
from oauth.store.pending import CodeEntry
from oauth.timings import OAuthTimings
from oauth.token import Token

# The former names of these exceptions, for code that still imports them.
AuthorizationFailed = AuthorizationFailedError
ConsentRequired = ConsentRequiredError
CredentialsRefused = CredentialsRefusedError
GrantRevoked = GrantRevokedError
PermissionDeclined = PermissionDeclinedError

__all__ = [
    "Account",
    "AuthorizationFailed",
    "AuthorizationFailedError",
    "CodeEntry",
    "ConsentHooks",
    "ConsentRequired",
    "ConsentRequiredError",
    "CredentialsRefused",
    "CredentialsRefusedError",
    "Grant",
    "GrantRevoked",
    "GrantRevokedError",
    "Identity",
    "Keyring",
    "OAuthCoordinator",
    "OAuthProvider",
    "OAuthTimings",
    "PermissionDeclined",
    "PermissionDeclinedError",
    "SettingError",
    "Token",
    "UnderstudyError",
]
