"""Sentences that the gateway adds to answers that were cut off."""

import pytest

from gateway.turns.replies.sentences import stopped, with_interrupted


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", "Stopped."),
        (" \n", "Stopped."),
        ("Once upon", "Once upon\n\n(Stopped.)"),
        ("So:\n```python\nprint(", "So:\n```python\nprint(\n```\n\n(Stopped.)"),
        ("So:\n```\nx\n```\nand", "So:\n```\nx\n```\nand\n\n(Stopped.)"),
    ],
)
def test_the_text_before_a_stop_stays_with_a_mark(said: str, kept: str) -> None:
    assert stopped(said) == kept


def test_calls_that_were_cut_off_are_named_once_each() -> None:
    assert "while I used `a` and `b`." in with_interrupted("So.", ["a", "b", "a"])
    assert with_interrupted("So.", []) == "So."
