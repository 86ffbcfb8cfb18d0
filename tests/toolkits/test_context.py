"""The time zone and the language of a message's sender."""

import pytest

from oauth import Identity
from toolkits import Conversation, Message


def message(**fields: str) -> Message:
    sender, place = Identity("stage", "T1", "alice"), Conversation("stage", "T1", "dm-alice", shared=False)
    return Message(id="1", text="hello", sender=sender, sender_name="Alice", conversation=place, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("timezone", ["", "Europe/Berlin", "UTC", "America/Argentina/Ushuaia"])
def test_a_time_zone_has_an_iana_name(timezone: str) -> None:
    assert message(timezone=timezone).timezone == timezone


@pytest.mark.parametrize("timezone", ["Mars/Crater", "Europe", "../../etc/passwd", "/etc/localtime", "a\0b", "x" * 500])
def test_a_value_that_is_not_a_time_zone_is_left_out(timezone: str) -> None:
    assert message(timezone=timezone).timezone == ""


@pytest.mark.parametrize(("locale", "kept"), [("de-DE", "de-DE"), ("pt_BR", "pt_BR"), ("en", "en"), ("</x>", "")])
def test_a_locale_becomes_a_language_tag(locale: str, kept: str) -> None:
    assert message(locale=locale).locale == kept
