"""The base class of all exceptions, the errors of settings, and the exceptions of the consent loop."""

from dataclasses import dataclass


class UnderstudyError(Exception):
    """The base class of all exceptions that this project defines."""


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """A setting that is missing or malformed.

    Args:
        name: the environment variable.
        advice: where an operator finds its value.
    """

    name: str
    advice: str = ""
    is_missing: bool = True


class SettingError(UnderstudyError):
    """A setting is missing or malformed. The message names it, what was found and what to do.

    Args:
        setting: the setting, if the error is about a single one.
    """

    def __init__(self, message: str, setting: WrongSetting | None = None) -> None:
        super().__init__(message)
        self.setting = setting


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
