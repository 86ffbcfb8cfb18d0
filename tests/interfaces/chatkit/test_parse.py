"""The people of a host application."""

import pytest

from interfaces.chatkit import Person


def test_a_person_needs_an_id() -> None:
    with pytest.raises(ValueError, match="without an id"):
        Person("")
