"""The base class of all exceptions, the errors of settings, and the exceptions of the consent loop."""


class UnderstudyError(Exception):
    """The base class of all exceptions that this project defines."""


class SettingError(UnderstudyError):
    """A setting is missing or malformed. The message names it, what was found and what to do."""


class ConsentRequiredError(UnderstudyError):
    """A tool needs an account that the person has not connected, or not with these permissions.

    The turn is parked, and resumes when the person has consented.
    """

    def __init__(self, provider: str, scopes: frozenset[str]) -> None:
        super().__init__(f"consent for {provider} is required")
        self.provider = provider
        self.scopes = scopes


class CredentialsRefusedError(UnderstudyError):
    """This turn may not use any account. The message is one plain sentence for the person."""


class PermissionDeclinedError(UnderstudyError):
    """The person connected their account without a permission that a tool needs. The message names the permission."""


class GrantRevokedError(UnderstudyError):
    """The provider no longer honours the refresh token (RFC 6749, section 5.2, `invalid_grant`)."""


class AuthorizationFailedError(UnderstudyError):
    """A sign-in failed. The message is one plain sentence for the person."""
