"""Answers that do not come from the Bot API, or are malformed."""

import pytest
from peers.telegram import updates
from peers.telegram.server import TelegramServer
from telegram.error import RetryAfter

from gateway.retries import LONGEST_WAIT, SHORTEST_WAIT
from interfaces.telegram import Telegram
from interfaces.telegram.request import TelegramRequest


@pytest.mark.parametrize("asked", ['"12"', "NaN", "1e400", "[]", "true"])
def test_the_wait_of_a_malformed_rate_limit_is_bounded(asked: str) -> None:
    payload = f'{{"ok": false, "parameters": {{"retry_after": {asked}}}}}'
    seconds = TelegramRequest.parse_json_payload(payload.encode())["parameters"]["retry_after"]
    assert SHORTEST_WAIT <= RetryAfter(seconds)._retry_after.total_seconds() <= LONGEST_WAIT


@pytest.mark.parametrize("status", [200, 502])
async def test_the_error_page_of_a_proxy_is_neither_logged_nor_stored(
    telegram: TelegramServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    from peers.serving import Received, Receiver
    from starlette.responses import HTMLResponse, Response
    from telegram.error import TelegramError

    def answer(_: Received) -> Response:
        return HTMLResponse("<p>What Alice wrote</p>\n" * 10_000, status_code=status)

    with Receiver() as proxy:
        proxy.answer = answer
        client = Telegram(telegram.token, updates.SECRET_TOKEN, proxy.url)._client
        with pytest.raises(TelegramError) as raised:
            await client.send_message(1, "hello")
        await client.shutdown()
    error: BaseException | None = raised.value
    while error is not None:
        assert "Alice" not in repr(error)
        error = error.__cause__ or error.__context__
    assert caplog.text.count("\n") < 20
    assert "Alice" not in caplog.text
