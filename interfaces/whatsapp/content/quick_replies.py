"""Buttons under messages: https://www.twilio.com/docs/content/twilio-quick-reply

They need a content template of Twilio's, which takes no approval within 24 hours of the person's last message.
"""

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twilio.rest import Client
from twilio.rest.content.v1.content import ContentList

from gateway.channels import Choice, DeliveryAmbiguousError, DeliveryRefusedError, QuestionCard
from interfaces.whatsapp.errors import twilio_errors

CALL_TIMEOUT = 5.0  # seconds for one call of the Content API
MOST_BUTTONS = 3  # of a message without an approved template
LONGEST_LABEL = 20  # characters
LONGEST_BODY = 1024
MOST_LINES = 98  # a template has up to 100 variables
MOST_REMEMBERED = 1000  # templates
PAYLOAD = "q"  # the first word of a choice's payload: `q:ID:PLACE`

# https://www.twilio.com/docs/api/errors/21656: what a variable's value must not contain. Two braces begin a variable.
_UNFIT = re.compile(r"[\t\r]| {5}|\{\{")
_PAYLOAD = re.compile(rf"{PAYLOAD}:([\w-]{{1,64}}):([0-9]{{1,3}})", re.ASCII)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Template:
    """A content template. Each line of its text is a variable, as the value of one cannot have several lines.

    Args:
        body: the text, in which variables stand for the lines.
        labels: of the buttons.
    """

    body: str
    labels: tuple[str, ...]


class QuickReplies:
    """Creates the content templates of questions, each once in a process."""

    def __init__(self) -> None:
        self._sids: dict[Template, str | None] = {}

    async def content(self, client: Client, card: QuestionCard) -> dict[str, Any] | None:
        """Return the content of the message with a question; `None` if WhatsApp or Twilio accepts no buttons for it.

        Raises:
            ConnectionError, RetryLaterError: if the template cannot be created now.
        """
        if not _fits(card):
            return None
        template, values = _template(card)
        if template not in self._sids:
            if len(self._sids) >= MOST_REMEMBERED:
                self._sids.clear()
            self._sids[template] = await self._create(client, template, values)
        sid = self._sids[template]
        return None if sid is None else {"content_sid": sid, "content_variables": json.dumps(values)}

    def forget(self, content: dict[str, Any]) -> None:
        """Forget the template of a message that Twilio refused: somebody may have deleted the template."""
        self._sids = {template: sid for template, sid in self._sids.items() if sid != content["content_sid"]}

    async def _create(self, client: Client, template: Template, values: dict[str, str]) -> str | None:
        """Create a template; return `None` if Twilio refuses it.

        https://www.twilio.com/docs/content/content-api-resources#create-templates
        """
        actions = [
            {"type": "QUICK_REPLY", "title": label, "id": f"{PAYLOAD}:{{{{id}}}}:{place}"}
            for place, label in enumerate(template.labels)
        ]
        request = ContentList.ContentCreateRequest(
            {
                "friendly_name": "understudy_question",
                "language": "en",
                "variables": dict.fromkeys(values, "…"),  # sample values, without data of a person
                "types": {"twilio/quick-reply": {"body": template.body, "actions": actions}},
            }
        )
        try:
            with twilio_errors():
                async with asyncio.timeout(CALL_TIMEOUT):
                    created = await client.content.v1.contents.create_async(request)
                if not created.sid:
                    raise ValueError("no template in the answer")
        except DeliveryRefusedError as refusal:
            log.warning("Twilio refuses the template of a question, which is sent as text: %s", refusal)
            return None
        except DeliveryAmbiguousError as error:  # this call sends nothing
            raise ConnectionError(f"the template of a question was not created: {error}") from error
        return str(created.sid)


def chosen(payload: str) -> tuple[str, int] | None:
    """Return the id of a question and the place of a choice of it; `None` if the payload is not that of a choice."""
    found = _PAYLOAD.fullmatch(payload)
    return (found[1], int(found[2])) if found else None


def are_short(choices: Sequence[Choice]) -> bool:
    """Return whether choices can be the labels of buttons."""
    return 1 <= len(choices) <= MOST_BUTTONS and all(len(choice.label) <= LONGEST_LABEL for choice in choices)


def _fits(card: QuestionCard) -> bool:
    labels = [choice.label for choice in card.choices]
    return (
        are_short(card.choices)
        and len(set(labels)) == len(labels)
        and not any("{{" in label for label in labels)
        and len(card.text.encode("utf-16-le")) // 2 <= LONGEST_BODY
        and len(card.text.split("\n")) <= MOST_LINES
        and not _UNFIT.search(card.text)
    )


def _template(card: QuestionCard) -> tuple[Template, dict[str, str]]:
    """Return the template of a question, and the values of its variables."""
    values, lines = {"id": card.id}, list[str]()
    for number, line in enumerate(card.text.split("\n")):
        name = f"line{number}"
        lines.append(f"{{{{{name}}}}}" if line.strip() else "")
        if line.strip():
            values[name] = line
    return Template("\n".join(lines), tuple(choice.label for choice in card.choices)), values
