"""A message template, which platforms take where they take no text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CONTENT_SID = re.compile("HX[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Template:
    """A message that is made of an approved template: https://www.twilio.com/docs/content/overview

    WhatsApp takes it also more than 24 hours after the person's last message.

    Args:
        content_sid: the Content SID of the template (HX…), from Twilio's Content Template Builder.
        variables: the value of each variable of the template, by its name, like `{"1": "Alice"}`.

    Raises:
        ValueError: if `content_sid` is not the SID of a template.
    """

    content_sid: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not CONTENT_SID.fullmatch(self.content_sid):
            raise ValueError(f"{self.content_sid!r} is not the Content SID of a template: HX and 32 hexadecimal digits")
        object.__setattr__(self, "variables", dict(self.variables))
