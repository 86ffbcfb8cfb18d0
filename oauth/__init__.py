"""Who a token belongs to, the consent loop, the encrypted token store and the callback routes."""

from oauth.coordinator import OAuthCoordinator
from oauth.errors import AuthorizationFailed, ConsentRequired, CredentialsRefused, GrantRevoked
from oauth.identity import Identity
from oauth.keyring import Keyring
from oauth.provider import OAuthProvider
from oauth.settings import SettingError
from oauth.token import Token

__all__ = [
    "AuthorizationFailed",
    "ConsentRequired",
    "CredentialsRefused",
    "GrantRevoked",
    "Identity",
    "Keyring",
    "OAuthCoordinator",
    "OAuthProvider",
    "SettingError",
    "Token",
]
