"""Pass updates that start no turn to an operator's own `Application` of python-telegram-bot."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from telegram import Update
from telegram.error import TelegramError
from telegram.ext import Application, ExtBot

from gateway.logs import describe
from interfaces.tasks import OwnedTasks
from interfaces.telegram.schema import UNREADABLE
from oauth import SettingError

HANDLED_WITHIN = 60.0  # seconds for the handlers of one update
STOPPED_WITHIN = 10.0  # seconds in which running jobs and handlers have to end

AnyApplication = Application[Any, Any, Any, Any, Any, Any]

log = logging.getLogger(__name__)


class OwnHandlers:
    """The handlers of an operator's application, which runs as long as the channel, in processes that take events.

    https://docs.python-telegram-bot.org/en/stable/telegram.ext.application.html

    Args:
        token: the token of the channel's bot.
        variable: the setting that the token comes from.

    Raises:
        SettingError: if the application is another bot's.
    """

    def __init__(self, application: AnyApplication, token: str, variable: str) -> None:
        if application.bot.token != token:
            raise SettingError(
                f"Telegram(application=…) got an application with another token than {variable}: build it with the "
                "same one."
            )
        self._application = application
        self._tasks = OwnedTasks()
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        try:
            await self._start()
        except TelegramError as error:
            log.warning("the application did not start, and is started again with the next update: %s", describe(error))

    def take(self, fields: Mapping[str, Any]) -> bool:
        """Pass on an update; return `False` if too many updates are waiting.

        The handlers run in the order that the application asks for, by default one update at a time.
        """
        return self._tasks.start("an update for the application's handlers", self._handle(fields), 2 * HANDLED_WITHIN)

    async def stop(self) -> None:
        await self._tasks.stop()
        try:
            async with asyncio.timeout(STOPPED_WITHIN):
                if self._application.running:
                    await self._application.stop()
                await self._application.shutdown()
        except TimeoutError:
            log.warning("the application's jobs and handlers did not end within %g seconds", STOPPED_WITHIN)

    async def _start(self) -> None:
        async with self._starting:
            if not self._application.running:
                await self._application.initialize()
                await self._application.start()

    async def _handle(self, fields: Mapping[str, Any]) -> None:
        await self._start()
        bot = self._application.bot
        try:
            update = Update.de_json(dict(fields), bot)
        except UNREADABLE as error:
            log.warning(
                "update %s was not passed on, as python-telegram-bot cannot read it: %s", fields["update_id"], error
            )
            return
        if isinstance(bot, ExtBot):
            bot.insert_callback_data(update)
        handled = self._in_time(update)
        try:
            await self._application.update_processor.process_update(update, handled)
        finally:
            handled.close()  # has an effect if it was never awaited

    async def _in_time(self, update: Update) -> None:
        async with asyncio.timeout(HANDLED_WITHIN):
            await self._application.process_update(update)


def check_updates(names: Sequence[str]) -> None:
    """Check the names of kinds of updates: https://core.telegram.org/bots/api#update

    Raises:
        SettingError: if there is no such kind.
    """
    if unknown := sorted(set(names) - set(Update.ALL_TYPES)):
        raise SettingError(
            f"Telegram(updates=…) names {', '.join(unknown)}, which Telegram does not send. "
            f"Use any of {', '.join(Update.ALL_TYPES)}."
        )
