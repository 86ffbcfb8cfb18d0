"""Accounts that people connect: identities, providers, the consent loop and the encrypted token store."""

from typing import TYPE_CHECKING

from oauth.lazy import import_lazily

if TYPE_CHECKING:
    from oauth.consent.accounts import Account
    from oauth.consent.coordinator import OAuthCoordinator
    from oauth.consent.hooks import ConsentHooks, Grant
    from oauth.errors import (
        AuthorizationFailedError,
        ConsentRequiredError,
        CredentialsRefusedError,
        GrantRevokedError,
        PermissionDeclinedError,
        SettingError,
        UnderstudyError,
    )

    # The former names of these exceptions, for code that still imports them.
    from oauth.errors import AuthorizationFailedError as AuthorizationFailed
    from oauth.errors import ConsentRequiredError as ConsentRequired
    from oauth.errors import CredentialsRefusedError as CredentialsRefused
    from oauth.errors import GrantRevokedError as GrantRevoked
    from oauth.errors import PermissionDeclinedError as PermissionDeclined
    from oauth.identity import Identity
    from oauth.provider import OAuthProvider
    from oauth.store.keyring import Keyring
    from oauth.store.pending import CodeEntry
    from oauth.timings import OAuthTimings
    from oauth.token import Token
else:
    __getattr__ = import_lazily(__name__, __file__)

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
