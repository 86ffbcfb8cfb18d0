"""The typing indicator of WhatsApp."""

from urllib.parse import urlencode

from peers.emulate.server import Emulate
from peers.webhooks import twilio_webhook as webhook
from support.channels.running import Run

from gateway.channels.live import Progress
from interfaces.whatsapp import WhatsApp


async def test_the_person_sees_that_the_bot_types(run: Run, whatsapp: WhatsApp, emulate: Emulate) -> None:
    """Check the request, as Twilio documents it, since the stand-in has no typing indicators."""
    path = "/v2/Indicators/Typing.json"
    emulate.twilio.fail(path, 201, body={"success": True})
    async with run(whatsapp):
        form = webhook.inbound("hello")
        message = await whatsapp.parse(urlencode(form))
        assert message is not None
        view = whatsapp.presenter.live_view(message)
        assert view is not None
        await view.indicate(Progress())
        await view.close()
        (call,) = emulate.twilio.calls(path)
        assert call.params == {"channel": "whatsapp", "messageId": form["MessageSid"]}
