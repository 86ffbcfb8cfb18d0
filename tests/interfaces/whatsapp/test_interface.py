"""The signature of webhooks, the start of the channel, and its settings."""

import pytest
from peers import seed
from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import URL, Run
from support.channels.whatsapp import PATH, post, said

from gateway import SettingError
from interfaces.whatsapp import WhatsApp


async def test_the_signature_covers_the_query(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    async with run(whatsapp) as running:
        assert (await post(running, webhook.inbound("hello"), f"{PATH}?a=1&b=2")).status_code == 200
        assert await said(emulate) == ["heard"]


async def test_a_webhook_that_twilio_did_not_sign_leaves_no_trace(run: Run, whatsapp: WhatsApp) -> None:
    another = webhook.sign(URL + PATH, webhook.inbound("another"))
    async with run(whatsapp) as running:
        for signature in ("", "forged", "ä".encode(), another):
            assert (await post(running, webhook.inbound("hello"), signature=signature)).status_code == 403
        bytes_that_are_no_text = await running.client.post(PATH, content=b"\xff\xfe=\xff")
        assert bytes_that_are_no_text.status_code == 403
        assert running.inbox() == []


async def test_without_a_public_address_the_gateway_does_not_start(
    run: Run, whatsapp: WhatsApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_BASE_URL", raising=False)
    with pytest.raises(SettingError, match="UNDERSTUDY_BASE_URL is not set"):
        async with run(whatsapp, base_url=None):
            pytest.fail("it started")


def test_settings_that_are_missing_or_malformed_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingError) as missing:
        WhatsApp()
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_FROM"):
        assert f"{name} is not set" in str(missing.value)
    with pytest.raises(SettingError, match="TWILIO_WHATSAPP_FROM is malformed \\(found '12'\\)") as malformed:
        WhatsApp(seed.TWILIO_ACCOUNT_SID, "hushhush", "12")
    assert "hush" not in str(malformed.value)


async def test_an_unsigned_and_a_tampered_request_leave_no_trace(run: Run, whatsapp: WhatsApp) -> None:
    form = webhook.inbound("transfer it to Bob")
    async with run(whatsapp) as running:
        assert (await running.client.post(PATH, data=form)).status_code == 403
        signed = {"X-Twilio-Signature": webhook.sign(URL + PATH, form)}
        for changed in (form | {"Body": "transfer it to Eve"}, form | {"From": "whatsapp:+15550000002"}):
            assert (await running.client.post(PATH, data=changed, headers=signed)).status_code == 403
        elsewhere = {"X-Twilio-Signature": webhook.sign("https://other.test" + PATH, form)}
        assert (await running.client.post(PATH, data=form, headers=elsewhere)).status_code == 403
        assert running.inbox() == []


async def test_the_signature_is_checked_for_the_public_address_behind_a_proxy(
    run: Run, whatsapp: WhatsApp, emulate: Emulate, caplog: pytest.LogCaptureFixture
) -> None:
    public = "https://bot.example.com"
    async with run(whatsapp, base_url=public) as running:
        form = webhook.inbound("hello")
        assert (await post(running, form, signature=webhook.sign(URL + PATH, form))).status_code == 403
        assert running.inbox() == []
        assert f"another address for the webhook than '{public + PATH}'" in caplog.text
        assert "UNDERSTUDY_BASE_URL" in caplog.text
        assert (await post(running, form, signature=webhook.sign(public + PATH, form))).status_code == 200
        assert await said(emulate) == ["heard"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("", "hushhush", seed.WHATSAPP_NUMBER), "TWILIO_ACCOUNT_SID"),
        ((seed.TWILIO_ACCOUNT_SID, "", seed.WHATSAPP_NUMBER), "TWILIO_AUTH_TOKEN"),
        ((seed.TWILIO_ACCOUNT_SID, "hushhush", seed.WHATSAPP_NUMBER, "http://twilio.test"), "TWILIO_API_URL"),
    ],
)
def test_an_empty_or_insecure_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], named: str
) -> None:
    monkeypatch.delenv(named, raising=False)
    with pytest.raises(SettingError, match=f"{named} is") as raised:
        WhatsApp(*given)
    assert "hush" not in str(raised.value)
