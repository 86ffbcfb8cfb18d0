"""Who a token belongs to, the consent loop, the encrypted token store and the callback routes."""

from oauth.consent.coordinator import Account, OAuthCoordinator
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
from oauth.token import Token

# The names of these exceptions before they ended in Error.
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
    "ConsentRequired",
    "ConsentRequiredError",
    "CredentialsRefused",
    "CredentialsRefusedError",
    "GrantRevoked",
    "GrantRevokedError",
    "Identity",
    "Keyring",
    "OAuthCoordinator",
    "OAuthProvider",
    "PermissionDeclined",
    "PermissionDeclinedError",
    "SettingError",
    "Token",
    "UnderstudyError",
]
