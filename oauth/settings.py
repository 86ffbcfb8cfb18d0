"""Settings come from the environment; an explicit argument beats them; what is wrong is named."""

import os
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from oauth.errors import UnderstudyError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class SettingError(UnderstudyError):
    """A setting is missing or malformed. The message names it, what was found and what to do."""


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("an address like https://example.com is needed")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("plain http is taken for this machine's own addresses only; use https")
    return url.rstrip("/")


ServiceUrl = Annotated[str, AfterValidator(_check_url)]


class Settings(BaseSettings):
    """A group of settings that share a prefix. A field's description says where its value is found.

    Args:
        explicit: values given in code; `None` or an empty one means "not given", and the environment is asked.

    Raises:
        SettingError: naming every variable of the group that is missing or malformed.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    def __init__(self, **explicit: Any) -> None:
        try:
            super().__init__(**{name: value for name, value in explicit.items() if value not in (None, "")})
        except ValidationError as error:
            sentences = [self._sentence(detail) for detail in error.errors(include_url=False)]
            raise SettingError("\n".join(sentences)) from None

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable that sets a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    @classmethod
    def required_variables(cls) -> list[str]:
        """Return the environment variables of the fields that have no default."""
        return [cls.variable(name) for name, field in cls.model_fields.items() if field.is_required()]

    @classmethod
    def mentioned(cls) -> bool:
        """Return whether the environment sets any of the required variables, if not all."""
        return any(map(os.environ.get, cls.required_variables()))

    @classmethod
    def _sentence(cls, detail: Any) -> str:
        field = str(detail["loc"][0])
        info = cls.model_fields[field]
        variable, advice = cls.variable(field), info.description or ""
        if detail["type"] == "missing":
            return f"{variable} is not set. {advice}".rstrip()
        problem = detail["msg"].removeprefix("Value error, ")
        secret = info.annotation in (SecretStr, SecretStr | None)
        found = "" if secret else f" (found {detail.get('input')!r})"
        return f"{variable} is malformed{found}: {problem}. {advice}".rstrip()
