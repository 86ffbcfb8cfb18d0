"""Texts that a database can store."""

import pytest

from toolkits.text import readable, storable, storable_json

HALVES = "\ud83d\ude00"  # the halves of one character, which two chunks of JSON may contain


def test_a_text_is_made_storable() -> None:
    assert storable(f"a\0b {HALVES} \ud83d \ude00\ud83d") == "ab 😀 \ufffd \ufffd\ufffd"
    assert storable("ä 😀") == "ä 😀"


def test_any_value_is_made_json() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd \ud800"

    assert storable_json({"a": ["\ud800", 1]}) == '{"a":["\ufffd",1]}'
    assert storable_json({"\ud800": Odd(), "b": (None, 1.5)}) == '{"\ufffd":"odd \ufffd","b":[null,1.5]}'


@pytest.mark.parametrize(
    ("name", "words"),
    [("list_events", "List events"), ("listEvents", "List events"), ("read-PDF.page2", "Read PDF page2"), ("_", "_")],
)
def test_a_name_from_code_is_made_readable(name: str, words: str) -> None:
    assert readable(name) == words
