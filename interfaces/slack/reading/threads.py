"""Read the messages of a thread: https://docs.slack.dev/reference/methods/conversations.replies"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.channels import DeliveryError, RetryLaterError
from gateway.logs import describe
from interfaces.slack.attachments import described
from interfaces.slack.errors import slack_errors
from interfaces.slack.format import mentioned_in, unescape
from interfaces.slack.parse import WRITTEN_BY_PEOPLE, content_of, forwarded_by, text_of
from interfaces.slack.pauses import WITHOUT_SCOPE, Pauses
from interfaces.slack.reading.people import People
from interfaces.slack.workspaces import Workspaces
from toolkits import Message, QuotedKind, QuotedMessage

CALL_TIMEOUT = 5.0  # seconds for one call
PAGE = 999  # messages: the latest are on the last page. Slack takes no larger limit, and gives some apps 15.
MOST_PAGES = 3
MOST_QUOTED = 20  # messages of a thread: the first one, and the latest
MOST_NAMES = 40  # people who wrote them or are mentioned in them
SAID = (*WRITTEN_BY_PEOPLE, "bot_message")  # subtypes

Reply = Mapping[str, Any]

log = logging.getLogger(__name__)


class ThreadReader:
    """Reads the messages of threads, with the scopes that end in `:history`.

    Apps that are distributed outside of the Marketplace may call it once a minute. While a rate limit lasts, nothing is
    read, and a message is answered without its thread.
    """

    def __init__(self, workspaces: Workspaces, people: People) -> None:
        self._workspaces = workspaces
        self._people = people
        self._pauses = Pauses()

    async def read(
        self, message: Message, bot: str | None, heard: Collection[str], read_until: str
    ) -> list[QuotedMessage]:
        """Return what others wrote in the thread of a message before it, oldest first.

        Args:
            message: in a thread.
            bot: the bot's user id.
            heard: the ids of other messages of the thread that came to the bot. The history has them and their answers.
            read_until: the id of the last message that was quoted before; empty if there is none.
        """
        tenant, (channel, _, thread) = message.conversation.tenant, message.conversation.id.partition("/")

        def is_new(reply: Reply) -> bool:
            ts = text_of(reply, "ts")
            is_own = bot is not None and reply.get("user") == bot
            in_history = ts in heard or ts <= read_until or (is_own and bool(heard) and ts != thread)
            return ts < message.id and not in_history and reply.get("subtype") in SAID and not reply.get("hidden")

        replies = [
            reply for reply in await self._replies(tenant, channel, thread, read_until, message.id) if is_new(reply)
        ]
        if len(replies) > MOST_QUOTED:
            begins = 1 if replies[0].get("ts") == thread else 0
            replies = replies[:begins] + replies[begins - MOST_QUOTED :]
        names = await self._names(tenant, replies)
        quoted = (_quoted(reply, names, is_own=bot is not None and reply.get("user") == bot) for reply in replies)
        return [each for each in quoted if each.text]

    async def _names(self, tenant: str, replies: Sequence[Reply]) -> dict[str, str]:
        """Return the names of those who wrote messages or are mentioned in them, by their ids."""
        writers = [text_of(reply, "user") for reply in replies]
        mentioned = [user_id for reply in replies for user_id in mentioned_in(text_of(reply, "text"))]
        asked = [each for each in dict.fromkeys(writers + mentioned) if each][:MOST_NAMES]
        return {user_id: person.name for user_id, person in (await self._people.find(tenant, asked)).items()}

    async def _replies(self, tenant: str, channel: str, thread: str, oldest: str, latest: str) -> list[Reply]:
        """Return the messages of a thread between two others, and its first one, as far as Slack returns them."""
        found, cursor, here = list[Reply](), "", f"{tenant}/{channel}"
        for _ in range(MOST_PAGES):
            if self._pauses.hold(tenant, here):
                break
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    client = await self._workspaces.client(tenant)
                    with slack_errors():
                        answer = await client.conversations_replies(
                            channel=channel,
                            ts=thread,
                            oldest=oldest or None,
                            latest=latest,
                            limit=PAGE,
                            cursor=cursor or None,
                        )
                        found += answer.get("messages") or ()
            except RetryLaterError as limit:
                self._pauses.begin(tenant, limit.seconds)
                log.info(
                    "threads of the workspace %s are not read for %g s: Slack's rate limit is reached",
                    tenant,
                    limit.seconds,
                )
                break
            except (DeliveryError, ConnectionError, TimeoutError) as error:
                self._note(here, error)
                break
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found

    def _note(self, here: str, error: Exception) -> None:
        if str(error) != "missing_scope":
            log.warning("a thread in %s is not read: %s", here, describe(error))
        elif self._pauses.begin(here, WITHOUT_SCOPE):
            log.warning(
                "threads in %s are not read: the app lacks channels:history, or for a private channel groups:history, "
                "or for a group conversation mpim:history",
                here,
            )


def _quoted(reply: Reply, names: Mapping[str, str], *, is_own: bool) -> QuotedMessage:
    shares = (content_of(each, names) for each in forwarded_by(reply))
    files = (f"[{described(file).title}]" for file in reply.get("files") or ())
    text = "\n".join(filter(None, (unescape(text_of(reply, "text"), names), *shares, *files)))
    user, profile = text_of(reply, "user"), reply.get("bot_profile") or {}
    author = names.get(user) or text_of(profile, "name") or text_of(reply, "username") or user
    return QuotedMessage(QuotedKind.THREAD, author, text, is_own=is_own, id=text_of(reply, "ts"))
