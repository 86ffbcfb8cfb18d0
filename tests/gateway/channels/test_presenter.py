"""The marks that presenters of all channels add to texts."""

from gateway.channels.presenter import MARK_LENGTH
from gateway.channels.sentences import SENT_AGAIN


def test_a_mark_fits_into_the_space_that_channels_leave_free() -> None:
    assert len(SENT_AGAIN) + 1 <= MARK_LENGTH
