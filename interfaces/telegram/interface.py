"""The updates of the Bot API, by a webhook or by polling, and the lifecycle of the channel."""

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import telegram
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from telegram import Update
from telegram.error import BadRequest, InvalidToken, TelegramError
from tenacity import AsyncRetrying, retry_if_not_exception_type, wait_exponential_jitter

from gateway.channels import BotProfile, DeliveryError, EventNotAcceptedError, Host, Interface, Press, PressOutcome
from gateway.channels.diagnosis import Finding, check_clock
from gateway.channels.refusals import WebhookRefusedError
from gateway.channels.requests import parse_json, read_body
from gateway.channels.sentences import NOTHING_OF_YOURS, QUESTION_CLOSED, STOPPING
from gateway.logs import describe
from interfaces.tasks import OwnedTasks
from interfaces.telegram import parse
from interfaces.telegram.attachments import TelegramFiles
from interfaces.telegram.buttons import QUESTION, ButtonPress, Buttons, Notice, chosen
from interfaces.telegram.errors import telegram_errors
from interfaces.telegram.live import STOP
from interfaces.telegram.posting.moved import MovedChats
from interfaces.telegram.present import TelegramPresenter
from interfaces.telegram.quoted import replied_to
from interfaces.telegram.receiving.handlers import AnyApplication, OwnHandlers, check_updates
from interfaces.telegram.receiving.polling import Poller, Rest
from interfaces.telegram.request import TelegramRequest
from interfaces.telegram.schema import to_update
from interfaces.telegram.settings import GROUPS, TelegramSettings
from interfaces.telegram.setup.diagnosis import try_bot
from interfaces.telegram.setup.profile import describe_bot, register_commands
from interfaces.telegram.setup.webhook import WebhookState, webhook_state
from oauth.errors import SettingError, WrongSetting
from oauth.masking import mask_from_now_on
from oauth.settings import is_loopback
from toolkits import Conversation, Message

CALL_TIMEOUT = 15.0  # seconds for one call of the Bot API
LONGEST_PAUSE = 30.0  # seconds before the webhook is set again, if that failed
UPDATES_KEPT = 24 * 60 * 60.0  # seconds for which Telegram keeps updates: the webhook has to be set by then
SETUP_TIMEOUT = 60.0  # seconds for the calls of a start that nothing waits for
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - its name

OWN_UPDATES = (
    Update.MESSAGE,
    Update.EDITED_MESSAGE,
    Update.CALLBACK_QUERY,
    Update.MESSAGE_REACTION,
    parse.GENERATION_STOPPED,
)

log = logging.getLogger(__name__)


class Telegram(Interface):
    """The Telegram channel, on the Bot API.

    Updates come by a webhook at the gateway's public address. Without one, the gateway polls Telegram for them.

    The bot answers every message in a private chat. In a group it answers messages that mention it, reply to it or are
    commands. An album is one message, which is for the bot if one of its captions is. A thumb up or down as a
    reaction is a rating of the answer.

    Args:
        bot_token: the bot's token; by default TELEGRAM_BOT_TOKEN.
        webhook_secret: the secret token of the webhook; by default TELEGRAM_WEBHOOK_SECRET, or a secret that is derived
            from the bot's token.
        api_url: the address of the Bot API; by default TELEGRAM_API_URL.
        application: the operator's own application of python-telegram-bot, whose handlers get the updates that start
            no turn.
        updates: the kinds of updates that its handlers want besides messages, like "callback_query".
        polling: whether the gateway polls for updates; by default TELEGRAM_POLLING, or whether it has no public
            address. If it does not poll and has no public address, the webhook is set by somebody else.
        access: whom the bot answers: "open", "allowlist" or "pairing", see docs/access.md; by default TELEGRAM_ACCESS.
        name: the name of one of several bots. With the name "support", the settings begin with TELEGRAM_SUPPORT_.

    Raises:
        SettingError: if a setting is missing or malformed; it names the setting.
    """

    channel = "telegram"
    setting_groups = GROUPS
    address = "/telegram/webhook"

    def __init__(
        self,
        bot_token: str | None = None,
        webhook_secret: str | None = None,
        api_url: str | None = None,
        *,
        application: AnyApplication | None = None,
        updates: Sequence[str] = (),
        polling: bool | None = None,
        access: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        settings = TelegramSettings.named(name)(
            bot_token=bot_token, webhook_secret=webhook_secret, api_url=api_url, polling=polling, access=access
        )
        self.access = settings.access
        self._variable = settings.variable
        self._has_placeholders = settings.has_placeholders
        self._api_url = settings.api_url
        token = settings.bot_token.get_secret_value()
        self._secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else _derived_secret(token)
        polls = TelegramRequest(connections=1, timeout=CALL_TIMEOUT)
        self._client = telegram.Bot(
            token,
            base_url=f"{settings.api_url}/bot",
            base_file_url=f"{settings.api_url}/file/bot",
            request=TelegramRequest(connections=32, timeout=CALL_TIMEOUT),
            get_updates_request=polls,
        )
        self._files = TelegramFiles(self._client, settings.api_url)
        self._bot = parse.Bot(self.channel, int(token.partition(":")[0]), None)
        self.platform_ids = {self._bot.tenant}
        self._handlers = (
            OwnHandlers(application, token, self._variable("bot_token")) if application is not None else None
        )
        check_updates(updates)
        self._updates = list(dict.fromkeys((*OWN_UPDATES, *updates)))
        self._buttons = Buttons(self._client, self._bot, {QUESTION: self._take_choice, STOP: self._take_stop})
        self._polls = settings.polling
        self._poller = Poller(self._client, polls, self._updates, self._take, self._variable("bot_token"))
        self._tasks = OwnedTasks()
        self._moved = MovedChats(self._move)
        self.presenter = TelegramPresenter(self._client, self._moved)

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(self.address, self._receive, methods=["POST"])]

    def events_from(self, base_url: str | None) -> str:
        return "(polls Telegram)" if self._polls else super().events_from(base_url)

    async def start(self, host: Host) -> None:
        await super().start(host)
        self._files.fetcher = host.files
        try:
            await self._client.initialize()
            self._bot.username = self._client.username
        except InvalidToken:
            advice = "It is the token that https://t.me/BotFather shows for the bot."
            token = WrongSetting(self._variable("bot_token"), advice, is_missing=False)
            raise SettingError(f"{token.name} was rejected by Telegram. {advice}", token) from None
        except TelegramError as error:
            log.warning(
                "Telegram did not return the bot's username, and is asked again at the next update: %s", error.message
            )
        if not host.takes_events:
            return
        if self._handlers is not None:
            await self._handlers.start()
        if self._polls is None:
            self._polls = host.base_url is None
        if host.base_url is not None and not self._polls:
            await self._set_webhook(host.base_url)
        self._tasks.start("the setup of the bot", self._set_up(host), SETUP_TIMEOUT)

    async def _set_up(self, host: Host) -> None:
        """Register the bot's commands and describe it, and log the state of its webhook. The next start tries again."""
        tenant = self._bot.tenant
        try:
            with telegram_errors():
                await register_commands(self._client, host.commands(self.channel, tenant))
                await describe_bot(self._client, host.description(self.channel, tenant))
                if (state := await self.webhook_state()) is not None:
                    log.log(logging.WARNING if state.problems or state.waiting else logging.INFO, "%s", state)
        except (DeliveryError, ConnectionError) as error:
            log.warning("the bot could not be set up: %s", describe(error))

    async def webhook_state(self) -> WebhookState | None:
        """Return what Telegram says about the bot's webhook; `None` if this gateway has set none.

        Raises:
            TelegramError: if Telegram does not answer.
        """
        base_url = self.host.base_url
        if self._polls or base_url is None:
            return None
        return await webhook_state(self._client, f"{base_url}{self.address}", self._updates)

    async def diagnose(self, profile: BotProfile) -> AsyncIterator[Finding]:
        if self._has_placeholders:
            return
        base_url, polls = profile.base_url, self._polls or (self._polls is None and profile.base_url is None)
        url = f"{base_url}{self.address}" if base_url is not None and not polls else None
        async for finding in try_bot(self._client, self.channel, self._variable("bot_token"), url, self._updates):
            yield finding
        yield await check_clock(f"{self.channel} clock", self._api_url)

    @asynccontextmanager
    async def taking_events(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._polls:
                polling = self._poller.polling(self.host, f"{self.channel}/{self._bot.tenant}/updates")
                await stack.enter_async_context(polling)
            yield

    @property
    def outage(self) -> str | None:
        return self._poller.outage

    async def stop(self) -> None:
        await self._tasks.stop()
        await super().stop()
        if self._handlers is not None:
            await self._handlers.stop()
        await self._client.shutdown()

    async def parse(self, payload: str) -> Message | None:
        update = to_update(json.loads(payload), self._client)
        await self._find_username()
        message = update.message or update.edited_message
        if message is None:
            return None
        replied = replied_to(message) or message.external_reply
        return parse.to_message(
            self._bot,
            message,
            payload,
            self._files.attachments_of(message),
            self._files.attachments_of(replied) if replied is not None else (),
        )

    async def _receive(self, request: Request) -> Response:
        given = request.headers.get(SECRET_HEADER, "")
        with self.refusals.refusals_logged():
            if not hmac.compare_digest(given.encode(), self._secret.encode()):
                raise WebhookRefusedError(
                    401,
                    "its secret token is missing or wrong",
                    "If Telegram sent it, the webhook was set by another program, or with another "
                    f"{self._variable('webhook_secret')}. Restart the gateway with UNDERSTUDY_BASE_URL set: it sets "
                    "its own.",
                )
            fields, payload = parse_json(await read_body(request))
        rest = await self._take(fields, payload)
        return Response(status_code=200, background=BackgroundTask(rest) if rest is not None else None)

    async def _take(self, fields: Mapping[str, Any], payload: str) -> Rest | None:
        """Commit an update; return what is left to do after that, which may fail.

        Args:
            fields: the update.
            payload: the update as text, to store.

        Raises:
            MalformedEventError: if the update is malformed.
            EventNotAcceptedError: if it could not be committed now.
        """
        update = to_update(fields, self._client)
        if (query := update.callback_query) is not None and (self._handlers is None or self._buttons.are_own(query)):
            return partial(self._buttons.answer, query, await self._buttons.take(query))
        try:
            await self._find_username()
        except TelegramError as error:
            log.warning("an update was not accepted, as the bot's username is not known: %s", describe(error))
            raise EventNotAcceptedError() from None
        if (feedback := parse.to_feedback(self._bot, update)) is not None:
            await self.host.rate(feedback)
        elif (stopped := parse.generation_stopped(self._bot, fields)) is not None:
            await self.host.stop(*stopped)
        elif update.message is not None and (moved := parse.migration(update.message)):
            await self._moved.follow(*moved)
        elif (event := parse.to_event(self._bot, update, payload)) is not None:
            await self.host.accept(event)
            if event.addressed or event.piece is not None:
                return None
        if self._handlers is not None and not self._handlers.take(fields):
            raise EventNotAcceptedError()
        return None

    async def _take_choice(self, press: ButtonPress) -> Notice:
        """Pass a choice to the gateway."""
        if (choice := chosen(press.argument)) is None:
            return Notice(QUESTION_CLOSED, is_refusal=True)
        result = await self.host.press(Press(*choice, press.identity, press.name))
        return Notice(result.text, is_refusal=result.outcome is not PressOutcome.TAKEN)

    async def _take_stop(self, press: ButtonPress) -> Notice:
        """Stop the turn of the person who pressed, in the conversation of the message."""
        place = press.conversation
        is_theirs = place is not None and await self.host.stop(place, press.identity.user_id)
        return Notice(STOPPING) if is_theirs else Notice(NOTHING_OF_YOURS, is_refusal=True)

    async def _move(self, old_id: int, new_id: int) -> None:
        group = Conversation(self.channel, self._bot.tenant, str(old_id), shared=True)
        await self.host.move(group, str(new_id))

    async def _find_username(self) -> None:
        """Ask for the bot's username, unless it is known.

        Raises:
            TelegramError: if Telegram does not answer.
        """
        if self._bot.username is None:
            self._bot.username = (await self._client.get_me()).username

    async def _set_webhook(self, base_url: str) -> None:
        """Set the webhook: https://core.telegram.org/bots/api#setwebhook

        Raises:
            SettingError: if Telegram accepts no webhook at that address.
        """
        try:
            await self._call_set_webhook(base_url)
        except BadRequest as error:
            if is_loopback(base_url):  # Telegram cannot reach it, but a stand-in on this machine may
                log.warning(
                    "Telegram accepts no webhook at %s and delivers nothing: %s. Set %s=true to poll for updates.",
                    base_url,
                    error.message,
                    self._variable("polling"),
                )
                return
            raise SettingError(
                f"UNDERSTUDY_BASE_URL is {base_url!r}, where Telegram accepts no webhook: {error.message}. "
                f"Change it, or set {self._variable('polling')}=true to poll for updates."
            ) from None
        except TelegramError as error:
            log.warning("the webhook could not be set yet, and is set later: %s", error.message)
            self._tasks.start("the setting of the webhook", self._set_webhook_later(base_url), UPDATES_KEPT)

    async def _set_webhook_later(self, base_url: str) -> None:
        """Set the webhook once Telegram can be reached: after a change from polling, no updates arrive without it."""
        retrying = AsyncRetrying(
            retry=retry_if_not_exception_type(BadRequest), wait=wait_exponential_jitter(max=LONGEST_PAUSE)
        )
        await retrying(self._call_set_webhook, base_url)
        log.info("the webhook is set")

    async def _call_set_webhook(self, base_url: str) -> None:
        url = f"{base_url}{self.address}"
        await self._client.set_webhook(url, secret_token=self._secret, allowed_updates=self._updates)


def _derived_secret(token: str) -> str:
    """Return the secret of the webhook, which is the same in all processes with the bot's token."""
    secret = hmac.new(token.encode(), b"understudy: the secret of the webhook", hashlib.sha256).hexdigest()
    mask_from_now_on(secret)
    return secret
