"""The webhook that the host application calls."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict
from standardwebhooks.webhooks import Webhook as Signer
from standardwebhooks.webhooks import WebhookVerificationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.channels import Host, Interface
from gateway.channels.refusals import RefusalLog, WebhookRefusedError
from gateway.channels.requests import parse_json, read_body
from oauth.settings import ServiceUrl, Settings
from toolkits import Message
from understudy_webhook import parse
from understudy_webhook.present import WebhookPresenter

SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
LONGEST_HEADER = 1000  # characters
SHORTEST_KEY = 24  # bytes, as Standard Webhooks asks


def _check_secret(secret: SecretStr) -> SecretStr:
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if len(key) < SHORTEST_KEY:
        raise ValueError("it has to be at least 24 random bytes in base64, with or without whsec_ before them")
    return secret


class WebhookSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="WEBHOOK_")

    secret: Annotated[SecretStr, AfterValidator(_check_secret)] = Field(
        description="It is the secret that the host application has, too. Make one with `openssl rand -base64 32`."
    )
    url: ServiceUrl = Field(description="It is the address at which the host application takes answers.")


class Webhook(Interface):
    """A host application that posts messages and takes answers as signed JSON.

    Both directions are signed as Standard Webhooks says: https://www.standardwebhooks.com

    Args:
        secret: else WEBHOOK_SECRET.
        url: else WEBHOOK_URL.

    Raises:
        SettingError: naming what is missing or malformed.
    """

    channel = parse.CHANNEL
    address = "/webhook/messages"
    presenter: WebhookPresenter
    setting_groups: ClassVar[Sequence[type[Settings]]] = (WebhookSettings,)

    def __init__(self, secret: str | None = None, url: str | None = None) -> None:
        settings = WebhookSettings(secret=secret, url=url)
        self._signer = Signer(settings.secret.get_secret_value())
        self._refusals = RefusalLog(self.channel)
        self.presenter = WebhookPresenter(self._signer, settings.url)

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(self.address, self._receive, methods=["POST"])]

    async def start(self, host: Host) -> None:
        await super().start(host)
        self.presenter.open()

    async def stop(self) -> None:
        await super().stop()
        await self.presenter.close()

    async def parse(self, payload: str) -> Message | None:
        return parse.to_message(payload)

    async def _receive(self, request: Request) -> Response:
        """Answer the webhook once its message is committed."""
        with self._refusals.refusals_logged():
            self._check_headers(request)
            body = await read_body(request)
            self._check_signature(request, body)
            fields, payload = parse_json(body)
        if parse.is_message(fields):
            await self.host.accept(parse.to_event(fields, payload))
        return JSONResponse({}, status_code=202)

    def _check_headers(self, request: Request) -> None:
        """Refuse a request without the headers of a signature, before its body is read.

        Raises:
            WebhookRefusedError: 401.
        """
        headers: list[Any] = [request.headers.get(name, "") for name in SIGNED_HEADERS]
        if not all(headers) or any(len(value) > LONGEST_HEADER for value in headers):
            raise WebhookRefusedError(401, "it has no signature", "The host application did not send it.")

    def _check_signature(self, request: Request, body: bytes) -> None:
        """Check the signature, which is stale after five minutes.

        Raises:
            WebhookRefusedError: 401 if it does not match.
        """
        headers = {name: request.headers[name] for name in SIGNED_HEADERS}
        try:
            self._signer.verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):  # a malformed header is one of many values that do not match
            raise WebhookRefusedError(
                401,
                "its signature does not match, or is older than five minutes",
                "If the host application sent it, its secret is not WEBHOOK_SECRET, or one of the clocks is wrong.",
            ) from None
