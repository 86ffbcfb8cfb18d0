"""Groups of settings, from the environment or from arguments, with errors that name what is wrong."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from oauth.errors import SettingError, UnderstudyError, WrongSetting
from oauth.masking import mask_from_now_on

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
PLACEHOLDER = "not-set-yet"

_placeholders: ContextVar[bool] = ContextVar("placeholders", default=False)
_errors: ContextVar[list[UnderstudyError] | None] = ContextVar("errors", default=None)


class SeveralSettingsError(SettingError):
    """Several errors, each with a line.

    Args:
        kind: what they are called, in the plural.
    """

    def __init__(self, kind: str, errors: Sequence[Exception]) -> None:
        super().__init__("\n".join((f"{len(errors)} {kind}:", *map(str, errors))))
        self.errors = errors


def not_set(name: str, advice: str) -> SettingError:
    """Return the error of a setting that is missing."""
    return SettingError(f"{name} is not set. {advice}".rstrip(), WrongSetting(name, advice))


@contextmanager
def placeholders() -> Iterator[None]:
    """Use placeholders for required settings that are missing.

    This is for a command that describes what an operator's file sets up, and runs nothing of it.
    """
    token = _placeholders.set(True)
    try:
        yield
    finally:
        _placeholders.reset(token)


def uses_placeholders() -> bool:
    """Return whether this code runs in a block of `placeholders`."""
    return _placeholders.get()


@contextmanager
def gathered_errors() -> Iterator[list[UnderstudyError]]:
    """Gather the errors of settings in a list, which is yielded, and use placeholders for what is missing or malformed.

    So an operator's file is read on after an error, and the next errors are found, too. Errors of other code are
    gathered where it runs in `going_on`; any other error is gathered, too, but ends the block.
    """
    errors: list[UnderstudyError] = []
    token = _errors.set(errors)
    try:
        yield errors
    except UnderstudyError as error:
        errors.append(error)
    finally:
        _errors.reset(token)


@contextmanager
def all_errors() -> Iterator[None]:
    """Raise everything that is wrong in the block as one error, at its end: see `raise_all`.

    In a block of `gathered_errors`, the errors are gathered there.
    """
    if _errors.get() is not None:
        yield
        return
    with gathered_errors() as errors:
        yield
    raise_all(errors)


def raise_all(errors: Sequence[Exception]) -> None:
    """Raise one error with a line for each of several. A single error is raised as it is.

    Raises:
        SettingError: unless there are no errors.
    """
    each = each_error(errors)
    if len(errors) > 1 and len(each) > 1:
        raise SeveralSettingsError("errors", each)
    if errors:
        raise errors[0]


@contextmanager
def going_on() -> Iterator[None]:
    """Go on after an error of the block if errors are gathered. Otherwise, raise it."""
    try:
        yield
    except UnderstudyError as error:
        if (errors := _errors.get()) is None:
            raise
        errors.append(error)


def may_use_placeholders() -> bool:
    """Return whether settings may have placeholders: in a block of `placeholders`, or because an error was gathered."""
    return uses_placeholders() or bool(_errors.get())


def each_error(errors: Iterable[Exception]) -> list[Exception]:
    """Return the errors, each once, and those that a `SeveralSettingsError` is about in its place."""
    each = (error.errors if isinstance(error, SeveralSettingsError) else (error,) for error in errors)
    return list({str(error): error for error in chain.from_iterable(each)}.values())


def setting_of(error: Exception) -> WrongSetting | None:
    """Return the setting that an error is about; `None` if it is about something else."""
    return error.setting if isinstance(error, SettingError) else None


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def check_url(url: str) -> str:
    """Return the address of a service without a slash at its end.

    Raises:
        ValueError: if it is not one of https, or of http on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it has to be an address like https://example.com")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("plain http is allowed only for addresses of this machine; use https")
    return url.rstrip("/")


ServiceUrl = Annotated[str, AfterValidator(check_url)]
"""The address of a service, without a trailing slash: https, or http on this machine."""


class Settings(BaseSettings):
    """A group of settings with a common prefix. The description of a field says where an operator finds its value.

    The log masks the value of a field that is a `SecretStr`, if it has at least eight characters.

    Args:
        explicit: values given in code, which override the environment. `None` and the empty string mean "not given".

    Raises:
        SettingError: naming every variable of the group that is missing or malformed.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    _unset: frozenset[str] = PrivateAttr(frozenset())

    def __init__(self, **explicit: Any) -> None:
        given = {name: value for name, value in explicit.items() if value not in (None, "")}
        details: list[ErrorDetails] = []
        try:
            super().__init__(**given)
        except ValidationError as error:
            details = error.errors(include_url=False)
        if details:
            wrong = [each for each in details if not (uses_placeholders() and each["type"] == "missing")]
            with going_on():
                raise_all([self._error(each) for each in wrong])
            unset = frozenset(str(detail["loc"][0]) for detail in details)
            super().__init__(**{**given, **{name: self._placeholder(name) for name in unset}})
            self._unset = unset
        for name in type(self).model_fields:
            if isinstance(value := getattr(self, name), SecretStr):
                mask_from_now_on(value.get_secret_value())

    def is_placeholder(self, field: str) -> bool:
        """Return whether a field has only a placeholder, because it is missing or malformed."""
        return field in self._unset

    @property
    def has_placeholders(self) -> bool:
        """True if any field has only a placeholder."""
        return bool(self._unset)

    @classmethod
    def _placeholder(cls, field: str) -> Any:
        info = cls.model_fields[field]
        if info.examples:
            return info.examples[0]
        return PLACEHOLDER if info.is_required() else info.get_default(call_default_factory=True)

    @classmethod
    def named(cls, name: str | None) -> type[Self]:
        """Return the group for one of several of a kind: with the name "support", TELEGRAM_ is TELEGRAM_SUPPORT_."""
        if name is None:
            return cls
        prefix = cls.variable(f"{name.replace('-', '_')}_")
        return type(cls.__name__, (cls,), {"__module__": cls.__module__, "model_config": {"env_prefix": prefix}})

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the name of the environment variable that sets a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def required_variables(cls) -> list[str]:
        """Return the environment variables of the fields that have no default."""
        return [cls.variable(name) for name, field in cls.model_fields.items() if field.is_required()]

    @classmethod
    def mentioned(cls) -> bool:
        """Return whether the environment sets any field that has no default."""
        return any(map(os.environ.get, cls.required_variables()))

    @classmethod
    def _error(cls, detail: ErrorDetails) -> SettingError:
        field = str(detail["loc"][0])
        info = cls.model_fields[field]
        variable, advice = cls.variable(field), info.description or ""
        if detail["type"] == "missing":
            return not_set(variable, advice)
        problem = detail["msg"].removeprefix("Value error, ")
        secret = info.annotation in (SecretStr, SecretStr | None)
        found = "" if secret else f" (found {detail.get('input')!r})"
        message = f"{variable} is malformed{found}: {problem}. {advice}".rstrip()
        return SettingError(message, WrongSetting(variable, advice, is_missing=False))
