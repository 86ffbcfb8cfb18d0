"""The webhook of Twilio, and the lifecycle of the channel."""

import logging
import re
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse

from gateway.channels import BotProfile, Host, Interface, Person, Press, PressOutcome
from gateway.channels.diagnosis import Finding, check_clock
from gateway.channels.refusals import WebhookRefusedError
from gateway.channels.requests import parse_form, read_form
from interfaces.whatsapp import parse
from interfaces.whatsapp.attachments import TwilioMedia
from interfaces.whatsapp.content.quick_replies import chosen
from interfaces.whatsapp.errors import PausingHttpClient
from interfaces.whatsapp.keywords import OPTED_IN, OPTED_OUT, USAGE, Keyword, is_answered_by_twilio, keyword_in
from interfaces.whatsapp.present import WhatsAppPresenter
from interfaces.whatsapp.quoted import with_texts
from interfaces.whatsapp.settings import GROUPS, TwilioSettings
from interfaces.whatsapp.setup.diagnosis import try_account
from interfaces.whatsapp.setup.webhook import check_webhook
from interfaces.whatsapp.status import report_in
from oauth.settings import not_set
from toolkits import Message, QuotedMessage, Template

TWILIO = "https://api.twilio.com"
SIGNATURE_HEADER = "x-twilio-signature"
SIGNATURE = re.compile("[A-Za-z0-9+/]{27}=")  # of the 20 bytes of a SHA-1

log = logging.getLogger(__name__)


class WhatsApp(Interface):
    """The WhatsApp channel, on Twilio's webhook and REST API.

    Args:
        account_sid: the Account SID; by default TWILIO_ACCOUNT_SID.
        auth_token: the Auth Token; by default TWILIO_AUTH_TOKEN.
        whatsapp_from: the WhatsApp sender, or the Messaging Service that it belongs to; by default
            TWILIO_WHATSAPP_FROM.
        api_url: an address to use in place of Twilio's; by default TWILIO_API_URL.
        late_template: the Content SID of a template that tells people of an answer that comes more than 24 hours after
            their last message; by default TWILIO_LATE_TEMPLATE.
        access: whom the agent answers: "open", "allowlist" or "pairing", see docs/access.md; by default TWILIO_ACCESS.
        name: the name of one of several senders. With the name "support", the settings begin with TWILIO_SUPPORT_.

    Raises:
        SettingError: if a setting is missing or malformed; it names the setting.
    """

    channel = "whatsapp"
    setting_groups = GROUPS
    address = "/whatsapp/webhook"
    presenter: WhatsAppPresenter

    def __init__(
        self,
        account_sid: str | None = None,
        auth_token: str | None = None,
        whatsapp_from: str | None = None,
        api_url: str | None = None,
        *,
        late_template: str | None = None,
        access: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self._settings = TwilioSettings.named(name)(
            account_sid=account_sid,
            auth_token=auth_token,
            whatsapp_from=whatsapp_from,
            api_url=api_url,
            late_template=late_template,
            access=access,
        )
        self.access = self._settings.access
        self.platform_ids = {self._settings.whatsapp_from}
        self._validator = RequestValidator(self._settings.auth_token.get_secret_value())
        self._media = TwilioMedia(
            self._settings.account_sid, self._settings.auth_token.get_secret_value(), self._settings.api_url
        )
        self._http: PausingHttpClient | None = None
        sender, template = self._settings.whatsapp_from, self._settings.late_template
        self.presenter = WhatsAppPresenter(
            service=sender if parse.is_service(sender) else None,
            late_template=Template(template) if template is not None else None,
        )

    @property
    def status_address(self) -> str:
        """The path of the status callbacks."""
        return f"{self.address}/status"

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(self.address, self._receive, methods=["POST"]),
            Route(self.status_address, self._receive_status, methods=["POST"]),
        ]

    async def start(self, host: Host) -> None:
        await super().start(host)
        if host.base_url is None:
            raise not_set(
                "UNDERSTUDY_BASE_URL",
                "Twilio signs the address that it calls: set it to the public address of this gateway, like "
                "https://bot.example.com.",
            )
        self._media.fetcher, self.presenter.base_url = host.files, host.base_url
        self.presenter.status_url = host.base_url + self.status_address
        self._http = PausingHttpClient()
        self.presenter.client = client = self._make_client(self._http)
        if host.takes_events:
            await check_webhook(client, self._settings.whatsapp_from, host.base_url + self.address)

    def _make_client(self, http: PausingHttpClient) -> Client:
        settings = self._settings
        client = Client(settings.account_sid, settings.auth_token.get_secret_value(), http_client=http)
        if settings.api_url is not None:
            client.api.base_url = client.messaging.base_url = client.content.base_url = settings.api_url
        return client

    async def diagnose(self, profile: BotProfile) -> AsyncIterator[Finding]:
        settings = self._settings
        if settings.has_placeholders:
            return
        url = f"{profile.base_url}{self.address}" if profile.base_url is not None else None
        http = PausingHttpClient()
        try:
            async for finding in try_account(self._make_client(http), self.channel, settings.whatsapp_from, url):
                yield finding
        finally:
            await http.close()
        yield await check_clock(f"{self.channel} clock", settings.api_url or TWILIO)

    async def stop(self) -> None:
        await super().stop()
        self.presenter.client = None
        if self._http is not None:
            await self._http.close()

    async def parse(self, payload: str) -> Message | None:
        form = parse_form(payload)
        sender = (await self._recognize(form)).identity
        return parse.to_message(form, payload, sender, self._media.attachments_of(form))

    async def read_quoted(self, message: Message, read_until: str) -> Sequence[QuotedMessage]:
        conversation = message.conversation
        addresses = {parse.PREFIX + conversation.tenant, parse.PREFIX + conversation.id}
        assert self.presenter.client is not None, "the channel is not started"
        return await with_texts(message.quoted, conversation, addresses, self.presenter.client)

    async def _receive(self, request: Request) -> Response:
        payload, form = await self._verified(request)
        answer = MessagingResponse()  # usually empty, because answers are sent by the REST API
        if parse.is_for(self._settings.whatsapp_from, form) and (text := await self._take(form, payload)) is not None:
            answer.message(text)
        return Response(str(answer), media_type="text/xml")

    async def _take(self, form: dict[str, str], payload: str) -> str | None:
        """Take a message, a keyword or a press, and return the text that answers it at once, if any."""
        writer = await self._recognize(form)
        event = parse.to_event(form, payload, writer.identity)
        keyword, is_answered = keyword_in(form), is_answered_by_twilio(form)
        if keyword is Keyword.STOP:
            if not await self.host.opt_out(writer.identity, f"stop:{event.id}"):
                return None
            await self.host.stop(event.conversation, writer.identity.user_id)
            return None if is_answered else OPTED_OUT
        if keyword is Keyword.START:
            is_new = await self.host.opt_in(writer.identity, f"start:{event.id}")
            if is_answered or writer.opted_out:
                return OPTED_IN if is_new and not is_answered else None
        elif keyword is Keyword.HELP:
            is_admitted = await self.host.admits(writer.identity, event.conversation)
            return USAGE if is_admitted and not is_answered else None
        if writer.opted_out:
            log.info("a message of %s is not answered: they have opted out", writer.identity)
            return None
        if (choice := chosen(form.get("ButtonPayload", ""))) is None:
            await self.host.accept(event)
            return None
        result = await self.host.press(Press(*choice, writer.identity, parse.name_of(form)))
        return result.text if result.outcome is not PressOutcome.TAKEN else None

    async def _recognize(self, form: dict[str, str]) -> Person:
        return await self.host.recognize(parse.address_of(self.channel, form), parse.platform_id_of(form))

    async def _receive_status(self, request: Request) -> Response:
        _, form = await self._verified(request)
        report = report_in(self.channel, request.query_params, form)
        if report is not None:
            await self.host.report_delivery(report)
        return Response(status_code=204)

    async def _verified(self, request: Request) -> tuple[str, dict[str, str]]:
        """Return the body of a request that Twilio has signed, and its parameters.

        Raises:
            WebhookRefusedError: if Twilio has not signed it.
        """
        with self.refusals.refusals_logged():
            if not SIGNATURE.fullmatch(request.headers.get(SIGNATURE_HEADER, "")):
                raise WebhookRefusedError(403, "it has no signature", "Twilio did not send it.")
            payload = await read_form(request)
            form = parse_form(payload)
            self._check_signature(form, request)
        return payload, form

    def _check_signature(self, form: dict[str, str], request: Request) -> None:
        """Check the signature of a webhook: https://www.twilio.com/docs/usage/webhooks/webhooks-security

        Raises:
            WebhookRefusedError: if it does not match.
        """
        query = f"?{request.url.query}" if request.url.query else ""
        address = f"{self.host.base_url}{request.url.path}{query}"
        if not self._validator.validate(address, form, request.headers[SIGNATURE_HEADER]):
            raise WebhookRefusedError(
                403,
                "its signature does not match",
                f"If Twilio sent it, its console has another address for the webhook than {address!r}, which begins "
                f"with UNDERSTUDY_BASE_URL: make them the same. Or {self._settings.variable('auth_token')} is another "
                "account's.",
            )
