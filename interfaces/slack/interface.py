import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Sequence
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.channels import DeliveryAmbiguousError, DeliveryRefusedError, Host, Interface, RetryLaterError, check_id
from gateway.channels.refusals import RefusalLog, WebhookRefusedError
from gateway.channels.requests import parse_form, parse_json, read_body, read_form
from gateway.channels.sentences import COMMAND_NOT_TAKEN, COMMAND_TAKEN
from gateway.logs import describe
from interfaces.slack import parse
from interfaces.slack.errors import slack_errors
from interfaces.slack.present import SlackPresenter
from interfaces.slack.schema import check_event
from interfaces.slack.workspaces import ManyWorkspaces, OneWorkspace
from oauth import SettingError
from oauth.settings import ServiceUrl, Settings
from toolkits import Message

CALL_TIMEOUT = 15  # seconds for one call of the Web API
REJECTED_TOKEN = ("account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked")
UNINSTALLED = ("app_uninstalled", "tokens_revoked", "team_access_revoked")
SCOPES = (
    "app_mentions:read",
    "channels:history",
    "chat:write",
    "commands",
    "groups:history",  # private channels
    "im:history",
    "im:write",
    "mpim:history",  # group conversations
    "mpim:read",
)
ADDRESS_SCOPES = ("users:read", "users:read.email")
TIMESTAMP_HEADER = "x-slack-request-timestamp"
SIGNATURE_HEADER = "x-slack-signature"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
LONGEST_AGE = 300  # seconds, of a timestamp that Slack's verifier takes
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
COMMAND_ADDRESS = "/slack/commands"
COMMAND_TIMEOUT = 2.0  # of the three seconds in which Slack wants an answer

log = logging.getLogger(__name__)


class SlackSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="SLACK_")

    signing_secret: SecretStr = Field(
        min_length=1,
        description="It is the Signing Secret under Basic Information at https://api.slack.com/apps.",
    )
    own_workspaces: str = Field(
        default="",
        description="It is a list like T012AB3CD,T345EF6GH: the workspaces whose members' e-mail addresses are yours.",
    )
    api_url: ServiceUrl = Field(default="https://slack.com/api", description="Leave it out for Slack itself.")


class OneWorkspaceSettings(SlackSettings):
    bot_token: SecretStr = Field(
        min_length=1,
        description="It is the Bot User OAuth Token (xoxb-…) under OAuth & Permissions at https://api.slack.com/apps.",
    )


class ManyWorkspacesSettings(SlackSettings):
    client_id: str = Field(description="It is the Client ID under Basic Information at https://api.slack.com/apps.")
    client_secret: SecretStr = Field(
        min_length=1,
        description="It is the Client Secret under Basic Information at https://api.slack.com/apps.",
    )


class Slack(Interface):
    """Slack, by its Events API: direct messages, and mentions in channels and threads.

    It is in one workspace, whose bot token it is given; or in every one that installs the app at `/slack/install`, with
    the app's client id and secret.

    Args:
        bot_token: else SLACK_BOT_TOKEN.
        signing_secret: else SLACK_SIGNING_SECRET.
        api_url: else SLACK_API_URL.
        client_id: else SLACK_CLIENT_ID.
        client_secret: else SLACK_CLIENT_SECRET.
        own_workspaces: the ids of the workspaces whose admins are trusted with their members' e-mail addresses; else
            SLACK_OWN_WORKSPACES. A member who signs in with the Google account of that address needs no code. It takes
            the scope `users:read.email`.
        answer_in_joined_threads: whether every message of a thread in which the bot was mentioned before is for it,
            not those alone that mention it.

    Raises:
        SettingError: naming what is missing.
    """

    channel = parse.CHANNEL
    setting_groups = (OneWorkspaceSettings, ManyWorkspacesSettings)
    address = "/slack/events"
    presenter: SlackPresenter

    def __init__(
        self,
        bot_token: str | None = None,
        signing_secret: str | None = None,
        api_url: str | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        own_workspaces: Sequence[str] = (),
        answer_in_joined_threads: bool = False,
    ) -> None:
        common: dict[str, Any] = {
            "signing_secret": signing_secret,
            "own_workspaces": ",".join(own_workspaces),
            "api_url": api_url,
        }
        has_token = bool(bot_token or os.environ.get(OneWorkspaceSettings.variable("bot_token")))
        has_client = bool(client_id or os.environ.get(ManyWorkspacesSettings.variable("client_id")))
        if has_token and has_client:
            raise SettingError(
                "SLACK_BOT_TOKEN and SLACK_CLIENT_ID are both set. The first is for one workspace, the second for all "
                "that install the app: unset one of them."
            )
        settings: SlackSettings
        if has_client:
            settings = many = ManyWorkspacesSettings(client_id=client_id, client_secret=client_secret, **common)
        else:
            settings = one = OneWorkspaceSettings(bot_token=bot_token, **common)
        self._api_url = settings.api_url
        own = frozenset(settings.own_workspaces.replace(",", " ").split())
        self._workspaces: OneWorkspace | ManyWorkspaces
        if has_client:
            self._workspaces = ManyWorkspaces(
                many.client_id,
                many.client_secret.get_secret_value(),
                [*SCOPES, *(ADDRESS_SCOPES if own else ())],
                self._make_client,
                f"{settings.api_url.removesuffix('/api')}/oauth/v2/authorize",
            )
        else:
            self._workspaces = OneWorkspace(self._make_client(one.bot_token.get_secret_value()))
        self._verifier = SignatureVerifier(settings.signing_secret.get_secret_value())
        self._answer_in_joined_threads = answer_in_joined_threads
        self._refusals = RefusalLog(self.channel)
        self.presenter = SlackPresenter(self._workspaces, own)

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(self.address, self._receive, methods=["POST"]),
            Route(COMMAND_ADDRESS, self._receive_command, methods=["POST"]),
            *self._workspaces.routes(),
        ]

    async def start(self, host: Host) -> None:
        await super().start(host)
        if isinstance(self._workspaces, OneWorkspace):
            self._workspaces.bot = await self._find_bot(await self._workspaces.client(""))
        elif host.base_url is None:
            raise SettingError(
                "UNDERSTUDY_BASE_URL is not set. Slack sends back there who installs the app: set it to the public "
                "address of this gateway, like https://bot.example.com."
            )
        else:
            self._workspaces.open(host.installations, host.base_url)

    async def _find_bot(self, client: AsyncWebClient) -> str | None:
        try:
            with slack_errors():
                return str((await client.auth_test())["user_id"])
        except DeliveryRefusedError as refusal:
            if str(refusal) in REJECTED_TOKEN:
                raise SettingError(
                    f"SLACK_BOT_TOKEN was rejected by Slack ({refusal}). It is the Bot User OAuth "
                    "Token under OAuth & Permissions at https://api.slack.com/apps."
                ) from None
            log.warning("Slack did not tell who the bot is: %s", refusal)
        except (DeliveryAmbiguousError, RetryLaterError, ConnectionError) as error:
            log.warning("Slack cannot be reached: %s", describe(error))
        return None

    def _make_client(self, token: str | None) -> AsyncWebClient:
        client = AsyncWebClient(token, base_url=f"{self._api_url}/", timeout=CALL_TIMEOUT)
        client.retry_handlers = []  # the outbox tries again, which knows what may have arrived
        return client

    async def parse(self, payload: str) -> Message | None:
        body = json.loads(payload)
        if "slash_command" in body:
            return parse.to_command_message(body, payload)
        if not parse.is_message(body):
            raise ValueError("The stored payload is neither a message, a mention nor a slash command of Slack's.")
        return parse.to_message(body, await self._bot_user(body))

    async def _bot_user(self, body: dict[str, Any]) -> str | None:
        return parse.bot_user(body) or await self._workspaces.bot_user(body)

    async def _receive(self, request: Request) -> Response:
        with self._refusals.refusals_logged():
            _check_headers(request)
            received = await read_body(request)
            self._check_signature(received, request)
            body, raw = parse_json(received)
        if body.get("type") == "url_verification":
            return JSONResponse({"challenge": str(body.get("challenge"))})
        if body.get("type") == "event_callback":
            check_event(body)
            await self._receive_event(body, raw)
        return Response(status_code=200)

    async def _receive_event(self, body: dict[str, Any], raw: str) -> None:
        if body["event"].get("type") in UNINSTALLED:
            await self._workspaces.forget(body)
        elif await self._is_for_us(body):
            if await self._workspaces.is_ours(body):
                await self.host.accept(parse.to_event(body, raw))
            else:
                log.warning("an event came from a workspace in which the app is not installed")

    async def _receive_command(self, request: Request) -> Response:
        with self._refusals.refusals_logged():
            _check_headers(request)
            raw = await read_form(request)
            self._check_signature(raw.encode(), request)
            form = parse_form(raw)
        if form.get("ssl_check"):
            return Response(status_code=200)
        if not all(form.get(name) for name in ("team_id", "user_id", "command", "trigger_id")):
            return Response(status_code=400)
        for name in ("team_id", "user_id", "trigger_id"):
            check_id(name, form[name])
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                await self._workspaces.is_ours(form)  # a workspace of an organization may have sent nothing yet
                channel = await self.presenter.direct_channel(form["team_id"], form["user_id"])
        except (DeliveryRefusedError, DeliveryAmbiguousError, RetryLaterError, ConnectionError, TimeoutError) as error:
            log.warning("a slash command was not taken, its direct conversation cannot be opened: %s", describe(error))
            return JSONResponse({"response_type": "ephemeral", "text": COMMAND_NOT_TAKEN})
        await self.host.accept(parse.to_command_event(form, channel))
        return JSONResponse({"response_type": "ephemeral", "text": COMMAND_TAKEN})

    def _check_signature(self, body: bytes, request: Request) -> None:
        """https://docs.slack.dev/authentication/verifying-requests-from-slack

        Raises:
            WebhookRefusedError: if the signature is not Slack's, or too old.
        """
        timestamp, signature = request.headers[TIMESTAMP_HEADER], request.headers[SIGNATURE_HEADER]
        if self._verifier.is_valid(body.decode(errors="replace"), timestamp, signature):
            return
        if abs(time.time() - int(timestamp)) > LONGEST_AGE:
            raise WebhookRefusedError(
                401,
                "its timestamp is more than five minutes off",
                "If Slack sent it, this machine's clock is wrong.",
            )
        raise WebhookRefusedError(
            401,
            "its signature does not fit",
            "If Slack sent it, SLACK_SIGNING_SECRET is another app's: it is the Signing Secret under Basic Information "
            "at https://api.slack.com/apps.",
        )

    async def _is_for_us(self, body: dict[str, Any]) -> bool:
        if not parse.is_written(body):
            return False
        bot = await self._bot_user(body)
        if body["event"]["user"] == bot:
            return False
        if parse.is_addressed(body, bot):
            return True
        if not self._answer_in_joined_threads or "thread_ts" not in body["event"]:
            return False
        return await self.host.has_answered_in(parse.conversation_of(body))


def _check_headers(request: Request) -> None:
    """Check that a request has what looks like a signature, before its body is read.

    Raises:
        WebhookRefusedError: if it has not.
    """
    timestamp, signature = request.headers.get(TIMESTAMP_HEADER, ""), request.headers.get(SIGNATURE_HEADER, "")
    if not (TIMESTAMP.fullmatch(timestamp) and SIGNATURE.fullmatch(signature)):
        raise WebhookRefusedError(401, "it has no signature of Slack's", "Slack did not send it.")
