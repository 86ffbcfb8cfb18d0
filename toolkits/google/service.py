"""The base class of the toolkits of Google's services: requests to Google, and errors in words for the model."""

import asyncio
import json
import ssl
from collections.abc import Callable, Collection
from functools import cache
from http import HTTPStatus
from http.client import HTTPSConnection
from importlib.resources import files
from typing import Any, ClassVar

import httplib2
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from oauth import ConsentRequiredError
from oauth.google import GoogleAuth
from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.toolkit import Toolkit

REQUEST_TIMEOUT = 20  # seconds for one request to Google
RETRIES = 2

SENT_TO_CHAT = "It was sent to the user in this chat."
UNKNOWN = "Google did not answer properly, so it is not known whether that was done. Check before you try again."

BuildRequest = Callable[[Any], Any]


class GoogleToolkit(Toolkit):
    """The base class of the toolkits of Google's services. It calls them as the person who asked.

    Google's discovery document describes the service, and comes with google-api-python-client
    (https://developers.google.com/discovery/v1/reference/apis). The service holds no credentials: each request carries
    its own.

    Args:
        auth: how people connect their Google account. Default: with the client of GOOGLE_CLIENT_ID.
        read_only: whether it has only the tools that change nothing, and asks people only for their permissions.
        auto_approve: names of tools that are called without asking the person for approval.
        retries: how often a reading request that met a rate limit or a server error is repeated, with exponential
            backoff.
    """

    _clone_shared_attrs = ("auth",)
    _clone_reset_attrs = ("_service",)
    private = True
    api: ClassVar[str]
    version: ClassVar[str]
    read_scopes: ClassVar[frozenset[str]]
    write_scopes: ClassVar[frozenset[str]]

    def __init__(
        self,
        auth: GoogleAuth | None = None,
        *,
        read_only: bool = False,
        auto_approve: Collection[str] = (),
        retries: int = RETRIES,
    ) -> None:
        self.auth: GoogleAuth = auth or GoogleAuth()
        self.read_only = read_only
        self.auto_approve = tuple(auto_approve)
        self.scopes = self.read_scopes if read_only else self.read_scopes | self.write_scopes
        self._retries = retries
        self._service: Any = None

    async def execute(
        self, context: TurnContext, request: BuildRequest, *, scope: str, missing: str = "", writes: bool = False
    ) -> Any:
        """Execute one request as the sender of the turn's message.

        Args:
            request: builds the request from the service.
            scope: the permission that the request needs.
            missing: what the model is told if Google finds nothing: "The user has no event with that id."
            writes: whether the request changes something. It is then not repeated, as Google may have carried it out.

        Returns:
            The decoded body of the answer.

        Raises:
            ToolError: if Google refuses the request.
            ConsentRequiredError: if the person has to sign in (again).
        """
        scopes = frozenset({scope})
        credentials = await context.credentials(self.auth.name, scopes)
        try:
            return await asyncio.to_thread(self._execute, credentials, request, missing, writes)
        except RefreshError:  # Google no longer accepts the access token
            credentials = await context.credentials(self.auth.name, scopes, renew=True)
        try:
            return await asyncio.to_thread(self._execute, credentials, request, missing, writes)
        except RefreshError:
            raise ConsentRequiredError(self.auth.name, scopes) from None

    async def check_permission(self, context: TurnContext, scope: str) -> None:
        """Check that the person granted a permission, so that they are not asked to approve a call that would fail.

        Raises:
            ToolError: if the person declined it.
            ConsentRequiredError: if the person has not been asked for it.
        """
        await context.credentials(self.auth.name, frozenset({scope}))

    def _execute(self, credentials: Credentials, request: BuildRequest, missing: str, writes: bool) -> Any:
        if self._service is None:
            self._service = build_service(self.api, self.version, self.auth.base_url)
        # httplib2 is not thread-safe, and tools of one turn run at the same time: each request has its own.
        http = AuthorizedHttp(credentials, http=_Http(timeout=REQUEST_TIMEOUT))
        try:
            return request(self._service).execute(http=http, num_retries=0 if writes else self._retries)
        except HttpError as error:
            raise ToolError(_sentence(error, missing, writes=writes)) from error
        except (OSError, httplib2.HttpLib2Error) as error:
            if not writes:
                raise
            raise ToolError(UNKNOWN) from error


class _Connection(httplib2.HTTPSConnectionWithTimeout):  # type: ignore[misc]  # httplib2 has no types
    """A connection with the TLS context that all connections share: making one takes 25 ms of processor time."""

    def __init__(self, host: str, *, timeout: float, proxy_info: Callable[[str], Any], **_: Any) -> None:
        HTTPSConnection.__init__(self, host, timeout=timeout, context=_tls_context())
        self.proxy_info = proxy_info("https")


class _Http(httplib2.Http):  # type: ignore[misc]  # httplib2 has no types
    def request(self, uri: str, *arguments: Any, **options: Any) -> Any:
        if uri.startswith("https:"):
            options["connection_type"] = _Connection
        return super().request(uri, *arguments, **options)


@cache
def _tls_context() -> ssl.SSLContext:
    """Return a context that verifies servers against the certificates of httplib2."""
    return ssl.create_default_context(cafile=httplib2.CA_CERTS)


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, and a note if the rest was cut."""
    return text if len(text) <= limit else f"{text[:limit]}\n[{len(text) - limit} more characters]"


def not_readable(name: str, kind: str, size: int) -> ToolError:
    """Return the error for a file that is not text, or too large."""
    return ToolError(f"{name} cannot be read as text: it has the type {kind} and {size} bytes.")


def _sentence(error: HttpError, missing: str, *, writes: bool) -> str:
    """Return an error in words for the model.

    https://developers.google.com/workspace/gmail/api/guides/handle-errors
    """
    if error.status_code == HTTPStatus.NOT_FOUND and missing:
        return missing
    if error.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return "Google asks for a pause, because there were too many requests for this user. Try again later."
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR and writes:
        return UNKNOWN
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Google does not answer properly at the moment. Try again later."
    return f"Google refused that: {error.reason}"


def build_service(api: str, version: str, base_url: str | None) -> Any:
    """Return a service without credentials, from the shared discovery document.

    Args:
        base_url: the root of all endpoints; `None` for Google's own.
    """
    return build_from_document(_discovery_document(api, version, base_url), http=httplib2.Http())


@cache
def _discovery_document(api: str, version: str, base_url: str | None) -> dict[str, Any]:
    """Return the parsed document, which all services share. It contains no data of any person."""
    documents = files("googleapiclient.discovery_cache") / "documents"
    document: dict[str, Any] = json.loads((documents / f"{api}.{version}.json").read_text(encoding="utf-8"))
    if base_url is not None:
        document["rootUrl"] = f"{base_url}/"
    _build_resources(build_from_document(document, http=httplib2.Http()), document)
    return document


def _build_resources(resource: Any, description: dict[str, Any]) -> None:
    """Build every resource once.

    The client completes the description of a method on its first use, which two threads must not do at once.
    """
    for name, nested in description.get("resources", {}).items():
        _build_resources(getattr(resource, name)(), nested)
