"""Status callbacks: what Twilio reports about the messages that it took."""

from typing import Any

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until_async
from peers.webhooks import twilio_webhook as webhook
from support.channels.presses import card
from support.channels.running import URL, Run, Running
from support.channels.whatsapp import post, reported, said, sends
from support.stage import stage_timings

from gateway.channels import Choice
from interfaces.whatsapp import WhatsApp
from toolkits import Conversation

STATUS = "/whatsapp/webhook/status"
HERE = Conversation("whatsapp", seed.WHATSAPP_NUMBER.removeprefix("whatsapp:"), seed.ALICE.phone, shared=False)
PATIENT = stage_timings(sent_report=3600.0, due_interval=0.02, longest_pause=0.01)
TWO_PARTS = " ".join(str(number) for number in range(500))


def rows(running: Running) -> list[tuple[Any, ...]]:
    return running.outbox("status, delivery_status")


async def answered(running: Running, emulate: Emulate) -> None:
    """Write to the bot as Alice, and wait until the answer is stored as sent."""
    await post(running, webhook.inbound("hello"))
    await said(emulate)
    await running.delivered()


async def test_each_message_has_a_callback_of_its_own(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        running.answers.append(TWO_PARTS)
        await post(running, webhook.inbound("count"))
        await said(emulate, 2)
        first, second = (call.params["StatusCallback"] for call in sends(emulate))
        assert first.startswith(f"{URL}{STATUS}?key=")
        assert first != second


def test_each_sender_has_an_address_of_its_own(emulate: Emulate) -> None:
    account = (emulate.account_sid, emulate.auth_token, emulate.whatsapp_number, emulate.twilio_url)
    assert WhatsApp(*account).status_address == STATUS
    assert WhatsApp(*account, name="support").status_address == "/whatsapp/support/webhook/status"


async def test_the_state_of_a_message_never_goes_back(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        assert rows(running) == [("sent", "queued")]
        for status, stored in (
            ("sending", "queued"),
            ("read", "read"),
            ("delivered", "read"),
            ("read", "read"),
            ("sent", "read"),
            ("undelivered", "read"),
        ):
            assert (await reported(running, emulate, 0, status)).status_code == 204
            assert rows(running) == [("sent", stored)]


async def test_a_forged_callback_leaves_no_trace(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        path = sends(emulate)[0].params["StatusCallback"].removeprefix(URL).partition("#")[0]
        form = webhook.status_callback(webhook.message_sid(), "failed", error_code=63016)
        of_another_key = webhook.sign(f"{URL}{STATUS}?key=another", form)
        of_another_account = webhook.sign(URL + path, form, "another token")
        for signature in ("", "forged", of_another_key, of_another_account):
            assert (await post(running, form, path, signature)).status_code == 403
        assert (await running.client.post(path, data=form)).status_code == 403
        assert rows(running) == [("sent", "queued")]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", {}),
        ("?key=", {}),
        ("?key=of-another-program", {}),
        ("?key={key}", {"From": "whatsapp:+15559999999"}),
        ("?key={key}", {"From": "+15551234567"}),
        ("?key={key}", {"MessageStatus": "received"}),
        ("?key={key}", {"MessageStatus": "new in a later version"}),
    ],
)
async def test_a_callback_about_something_else_is_accepted_and_ignored(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, query: str, fields: dict[str, str]
) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        key = sends(emulate)[0].params["StatusCallback"].partition("key=")[2].partition("#")[0]
        form = webhook.status_callback(webhook.message_sid(), "read") | fields
        assert (await post(running, form, STATUS + query.format(key=key))).status_code == 204
        assert rows(running) == [("sent", "queued")]


@pytest.mark.parametrize(
    ("code", "reason", "explained"),
    [
        (
            63016,
            "",
            "63016: the person last wrote more than 24 hours ago. WhatsApp then takes only an approved template.",
        ),
        (63024, "", "63024: the person is not on WhatsApp"),
        (63013, "policy violation", "63013: policy violation See https://www.twilio.com/docs/api/errors/63013"),
        (None, "", "Twilio gives no reason."),
    ],
)
async def test_a_message_that_failed_is_a_dead_letter_that_says_why(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, code: int | None, reason: str, explained: str
) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        fields = {"ChannelStatusMessage": reason} if reason else {}
        await reported(running, emulate, 0, "undelivered", code, **fields)
        [(status, delivery_status, error)] = running.outbox("status, delivery_status, error")[:1]
        assert (status, delivery_status) == ("dead", "failed")
        assert explained in error
        assert code is None or f"https://www.twilio.com/docs/api/errors/{code}" in error


async def test_a_message_that_met_a_limit_is_sent_again(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        await reported(running, emulate, 0, "failed", 63018)
        assert await said(emulate, 2) == ["heard", "heard"]
        await running.delivered()
        await reported(running, emulate, 0, "failed", 63018)  # again, for the first message
        await reported(running, emulate, 1, "delivered")
        assert rows(running) == [("sent", "delivered")]


async def test_the_second_part_waits_until_the_first_is_sent(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp, timings=PATIENT) as running:
        running.answers.append(TWO_PARTS)
        await post(running, webhook.inbound("count"))
        await wait_until_async(lambda: ("retrying", None) in rows(running), what="the second part waits")
        await post(running, webhook.inbound("hello", seed.BOB))
        await wait_until_async(lambda: emulate.whatsapp_messages("bob"), what="an answer to Bob")
        assert len(await said(emulate)) == 1
        await reported(running, emulate, 0, "sent")
        assert " ".join(await said(emulate, 2)) == TWO_PARTS


async def test_a_question_in_two_messages_is_sent_when_the_second_is_and_fails_when_one_does(
    run: Run, whatsapp: WhatsApp, emulate: Emulate
) -> None:
    async with run(whatsapp) as running:
        question = card("x" * 1500, *(Choice(f"{number} {'y' * 70}") for number in range(10)))
        await whatsapp.presenter.send_question(HERE, question, "", key="k")
        reports = Reports(running)
        for number, status, code in ((0, "sent", None), (1, "sent", None), (0, "undelivered", 63024)):
            await reported(running, emulate, number, status, code)
        assert reports.statuses == ["sent", "failed"]


class Reports:
    """Records the reports that the channel hands to the gateway."""

    def __init__(self, running: Running) -> None:
        self.statuses: list[str] = []
        running.gateway.host.report_delivery = self._record  # type: ignore[method-assign]

    async def _record(self, report: Any) -> bool:
        self.statuses.append(report.status)
        return True


@pytest.mark.parametrize("fields", [{"From": "whatsapp:+1555\0"}, {"From": f"whatsapp:{'1' * 600}"}], ids=ascii)
async def test_a_callback_with_an_impossible_sender_is_refused(
    run: Run, whatsapp: WhatsApp, fields: dict[str, str]
) -> None:
    async with run(whatsapp) as running:
        form = webhook.status_callback(webhook.message_sid()) | fields
        assert (await post(running, form, f"{STATUS}?key=k")).status_code == 400


@pytest.mark.parametrize("code", ["", "x", "9" * 5000, "-1", "٣"])
async def test_an_error_code_may_be_anything(run: Run, whatsapp: WhatsApp, emulate: Emulate, code: str) -> None:
    async with run(whatsapp) as running:
        await answered(running, emulate)
        await reported(running, emulate, 0, "failed", ErrorCode=code)
        assert running.outbox("status, error")[0] == (
            "dead",
            "whatsapp took it, and reports that it failed: DeliveryRefusedError: Twilio gives no reason.",
        )
