import asyncio
import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

import httplib2
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from oauth import ConsentRequired
from oauth.google import GoogleAuth
from toolkits.context import TurnContext
from toolkits.function import ToolError
from toolkits.toolkit import Toolkit

REQUEST_TIMEOUT = 20  # seconds for one request to Google
RETRIES = 2  # of a request that met a rate limit or a server error, with exponential backoff

BuildRequest = Callable[[Any], Any]


class GoogleToolkit(Toolkit):
    """What the toolkits of Google's services have in common: the service, called as the person who asked.

    The service is described by Google's discovery document, which comes with google-api-python-client
    (https://developers.google.com/discovery/v1/reference/apis). It holds no credentials: each request carries
    its own.
    """

    _clone_shared_attrs = ("auth",)
    _clone_reset_attrs = ("_service",)
    private = True
    api: ClassVar[str]
    version: ClassVar[str]

    def __init__(self, auth: GoogleAuth | None = None) -> None:
        self.auth: GoogleAuth = auth or GoogleAuth()
        self._service: Any = None

    async def execute(self, context: TurnContext, request: BuildRequest) -> Any:
        """Executes one request as the sender of the turn's message.

        Args:
            request: builds the request from the service.

        Returns:
            The decoded body of the answer.

        Raises:
            ToolError: if Google refuses the request.
            ConsentRequired: if the person has to sign in (again).
        """
        credentials = await context.credentials(self.auth.name, self.scopes)
        try:
            return await asyncio.to_thread(self._execute, credentials, request)
        except RefreshError:  # Google no longer takes the access token
            credentials = await context.credentials(self.auth.name, self.scopes, renew=True)
        try:
            return await asyncio.to_thread(self._execute, credentials, request)
        except RefreshError:
            raise ConsentRequired(self.auth.name, self.scopes) from None

    def _execute(self, credentials: Credentials, request: BuildRequest) -> Any:
        if self._service is None:
            self._service = build_service(self.api, self.version, self.auth.base_url)
        # httplib2 is not thread-safe and tools of one turn run side by side: each request has its own.
        http = AuthorizedHttp(credentials, http=httplib2.Http(timeout=REQUEST_TIMEOUT))
        try:
            return request(self._service).execute(http=http, num_retries=RETRIES)
        except HttpError as error:
            raise ToolError(f"Google answered {error.status_code}: {error.reason}") from error


def build_service(api: str, version: str, base_url: str | None) -> Any:
    """A service without credentials, from the shared document.

    Args:
        base_url: one root for all of Google's endpoints, or `None` for Google's own.
    """
    return build_from_document(_discovery_document(api, version, base_url), http=httplib2.Http())


@cache
def _discovery_document(api: str, version: str, base_url: str | None) -> dict[str, Any]:
    """The parsed document, which everybody's services share. Nothing in it is anybody's."""
    documents = files("googleapiclient.discovery_cache") / "documents"
    document: dict[str, Any] = json.loads((documents / f"{api}.{version}.json").read_text(encoding="utf-8"))
    if base_url is not None:
        document["rootUrl"] = f"{base_url}/"
    _visit(build_from_document(document, http=httplib2.Http()), document)
    return document


def _visit(resource: Any, description: dict[str, Any]) -> None:
    """Builds every resource once: the client completes the descriptions of methods as it meets them, which two
    threads must not do at the same time."""
    for name, nested in description.get("resources", {}).items():
        _visit(getattr(resource, name)(), nested)
