"""The route that the host application calls, the settings of the channel, and its start and stop."""

import base64
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict
from standardwebhooks import Webhook as StandardWebhook
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.channels import AccessPolicy, Host, Interface
from gateway.channels.requests import parse_json, read_body
from oauth.settings import ServiceUrl, Settings
from toolkits import Message
from understudy_webhook import parse
from understudy_webhook.present import WebhookPresenter
from understudy_webhook.signature import check_headers, check_signature

PREFIX = "whsec_"
KEY_LENGTHS = range(24, 65)  # bytes


def _check_secret(secret: SecretStr) -> SecretStr:
    """Check the length of a secret, as the specification prescribes it.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
    """
    try:
        length = len(base64.b64decode(secret.get_secret_value().removeprefix(PREFIX), validate=True))
    except ValueError:
        length = 0
    if length not in KEY_LENGTHS:
        raise ValueError(f"it has to be the base64 of 24 to 64 random bytes, with or without {PREFIX} before it")
    return secret


class WebhookSettings(Settings):
    """The settings that start with WEBHOOK_."""

    model_config = SettingsConfigDict(env_prefix="WEBHOOK_")

    secret: Annotated[SecretStr, AfterValidator(_check_secret)] = Field(
        description="Make one with `openssl rand -base64 32`, and give it to the host application, too."
    )
    url: ServiceUrl = Field(description="It is the address of the host application to which answers are posted.")
    access: AccessPolicy = Field(default=AccessPolicy.OPEN, description="It is open, allowlist or pairing.")


class Webhook(Interface):
    """The channel of a host application, with signed JSON in both directions: https://www.standardwebhooks.com

    Args:
        secret: the secret that signs requests in both directions; by default WEBHOOK_SECRET.
        url: the address of the host to which answers are posted; by default WEBHOOK_URL.
        access: whom the agent answers: "open", "allowlist" or "pairing"; by default WEBHOOK_ACCESS.
        name: the name of one of several hosts. With the name "shop", the settings begin with WEBHOOK_SHOP_.

    Raises:
        SettingError: if a setting is missing or malformed. The error names the setting.
    """

    channel = "webhook"
    setting_groups = (WebhookSettings,)
    address = "/webhook/messages"
    presenter: WebhookPresenter

    def __init__(
        self, secret: str | None = None, url: str | None = None, *, access: str | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        settings = WebhookSettings.named(name)(secret=secret, url=url, access=access)
        self.access = settings.access
        secret = settings.secret.get_secret_value()
        self.platform_ids = {secret}  # signatures do not cover the address
        self._signer = StandardWebhook(secret)
        self.presenter = WebhookPresenter(settings.url, self._signer)

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(self.address, self._receive, methods=["POST"])]

    async def start(self, host: Host) -> None:
        await super().start(host)
        self.presenter.open()

    async def stop(self) -> None:
        await super().stop()
        await self.presenter.close()

    async def parse(self, payload: str) -> Message | None:
        return parse.to_message(self.channel, payload)

    async def _receive(self, request: Request) -> Response:
        with self.refusals.refusals_logged():
            check_headers(request.headers)
            body = await read_body(request)
            check_signature(self._signer, body, request.headers)
            fields, payload = parse_json(body)
        if parse.is_message(fields):
            await self.host.accept(parse.to_event(self.channel, fields, payload))
        return Response(status_code=204)
