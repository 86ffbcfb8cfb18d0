"""Answers that Twilio refuses or delays."""

from datetime import UTC, datetime, timedelta

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run
from support.channels.whatsapp import MESSAGES, post, said, sends

from interfaces.whatsapp import WhatsApp


async def test_a_rate_limit_is_waited_for_and_the_answer_sent_once(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        limited = {"code": 20429, "message": "Too Many Requests", "status": 429}
        emulate.twilio.fail(MESSAGES, 429, method="POST", headers={"Retry-After": "1"}, body=limited)
        await post(running, webhook.inbound("hello"))
        assert await said(emulate) == ["heard"]
        assert [call.status for call in sends(emulate)] == [429, 201]
        assert running.prompts == ["hello"]


@pytest.mark.parametrize("asked", ["99999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_impossible_rate_limit_is_bounded(run: Run, whatsapp: WhatsApp, emulate: Emulate, asked: str) -> None:
    async with run(whatsapp) as running:
        limited = {"code": 20429, "message": "Too Many Requests", "status": 429}
        emulate.twilio.fail(MESSAGES, 429, method="POST", headers={"Retry-After": asked}, body=limited)
        await post(running, webhook.inbound("hello"))
        await wait_until_async(running.pauses, what="a pause")
        until = datetime.fromisoformat(running.pauses()[0][0]).replace(tzinfo=UTC)
        assert timedelta(minutes=50) < until - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize("status", [400, 429])
async def test_a_rate_limit_of_the_sender_pauses_it(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, status: int
) -> None:
    """Refuse an answer with https://www.twilio.com/docs/api/errors/63018, of which no page names the status."""
    async with run(whatsapp) as running:
        limited = {"code": 63018, "message": "Rate limit exceeded for Channel", "status": status}
        emulate.twilio.fail(MESSAGES, status, method="POST", body=limited)
        await post(running, webhook.inbound("hello"))
        await wait_until_async(running.pauses, what="a pause")
        await post(running, webhook.inbound("hello", seed.BOB))
        assert await said(emulate) == ["heard"]
        assert running.inbox() == [("done",), ("done",)]


@pytest.mark.parametrize("status", [302, 403, 407])
async def test_a_refusal_by_a_proxy_is_retried(run: Run, whatsapp: WhatsApp, emulate: Emulate, status: int) -> None:
    async with run(whatsapp) as running:
        emulate.twilio.fail(MESSAGES, status, method="POST", body="<html>not allowed here</html>")
        await post(running, webhook.inbound("hello"))
        assert await said(emulate) == ["heard"]


async def test_a_refused_answer_does_not_delay_the_next(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        outside_the_window = {"code": 63016, "message": "outside the allowed window", "status": 400}
        emulate.twilio.fail(MESSAGES, 400, method="POST", body=outside_the_window)
        running.answers += ["refused", "taken"]
        for text in ("one", "two"):
            await post(running, webhook.inbound(text))
        assert await said(emulate) == ["taken"]
        assert len(sends(emulate)) == 2
