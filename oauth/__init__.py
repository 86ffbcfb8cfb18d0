"""Who a token belongs to, the consent loop, the encrypted token store and the callback routes."""

from oauth.coordinator import Account, OAuthCoordinator
from oauth.errors import AuthorizationFailed, ConsentRequired, CredentialsRefused, GrantRevoked, PermissionDeclined
from oauth.identity import Identity
from oauth.keyring import Keyring
from oauth.pending import Entered
from oauth.provider import OAuthProvider
from oauth.settings import SettingError
from oauth.token import Token

__all__ = [
    "Account",
    "AuthorizationFailed",
    "ConsentRequired",
    "CredentialsRefused",
    "Entered",
    "GrantRevoked",
    "Identity",
    "Keyring",
    "OAuthCoordinator",
    "OAuthProvider",
    "PermissionDeclined",
    "SettingError",
    "Token",
]
