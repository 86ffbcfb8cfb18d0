"""No body, signed or not, fails anything: no 500, no error in the log, no message that stays, no text that breaks one.

`make test` tries a few of each kind, always the same ones; `make fuzz` tries others, FUZZ_SECONDS long of each kind,
and begins with FUZZ_SEED.
"""

import gc
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import hypothesis
import pytest
from fuzz import samples, strategies
from fuzz.house import URL, House, platforms
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from peers.telegram import updates as telegram
from peers.webhooks import slack_events, twilio_webhook

from gateway import Identity
from gateway.channels.commands import command_in
from interfaces.markdown import Renderer
from interfaces.slack.format import MrkdwnRenderer, unescape, without_mention
from interfaces.telegram.format import HtmlRenderer
from interfaces.web.format import to_html
from interfaces.whatsapp.format import WhatsAppRenderer
from toolkits import preview
from toolkits.text import storable

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or time.time_ns() % 2**32
EXAMPLES = 50 if SECONDS else 20  # of one run of a test
GROWTH = 1.1  # that memory may have grown by between the middle and the end of a long run

Test = Callable[[], None]
pytestmark = [pytest.mark.timeout(120 + 2 * SECONDS), pytest.mark.long]
HOUSES = pytest.mark.parametrize("house", [False, True], ids=["one workspace", "many workspaces"], indirect=True)


@pytest.fixture(scope="module")
def platforms_url() -> Iterator[str]:
    with platforms() as url:
        yield url


@pytest.fixture(scope="module")
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, platforms_url: str
) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house"), platforms_url, many=request.param).opened() as house:
        yield house


def fuzz(**given_values: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Test]:
    """Call a function with examples: the same ones each time, or ever new ones for FUZZ_SECONDS."""

    def decorate(function: Callable[..., None]) -> Test:
        test = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=not SECONDS,
            phases=(Phase.generate, Phase.shrink) if SECONDS else (Phase.generate,),
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )(given(**given_values)(function))
        return (lambda: _for_long(test)) if SECONDS else test

    return decorate


def _for_long(test: Any) -> None:
    """Run a test again and again, and see that it comes to need no more memory."""
    began, number, sizes = time.monotonic(), 0, []
    while (elapsed := time.monotonic() - began) < SECONDS:
        hypothesis.seed(SEED + number)(test)()
        number += 1
        gc.collect()
        sizes.append((elapsed / SECONDS, int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()))
    print(f"{number * EXAMPLES} examples from FUZZ_SEED={SEED}, {sizes[-1][1] / 1e6:.1f} MB")
    middle = next(size for when, size in sizes if when >= 0.5 or (when, size) == sizes[-1])
    assert sizes[-1][1] < middle * GROWTH


@HOUSES
def test_events_of_slack(house: House) -> None:
    @fuzz(body=strategies.bodies(samples.slack_events()))
    def test(body: bytes) -> None:
        house.request("POST", "/slack/events", content=body, headers=slack_events.headers(body))

    test()


@HOUSES
def test_slash_commands_of_slack(house: House) -> None:
    @fuzz(form=strategies.forms(samples.slack_commands()))
    def test(form: dict[str, str]) -> None:
        body = urlencode(form).encode()
        headers = slack_events.headers(body, content_type="application/x-www-form-urlencoded")
        house.request("POST", "/slack/commands", content=body, headers=headers)

    test()


@pytest.mark.parametrize("house", [False], indirect=True)
def test_updates_of_telegram(house: House) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET_TOKEN}

    @fuzz(body=strategies.bodies(samples.telegram_updates()))
    def test(body: bytes) -> None:
        house.request("POST", "/telegram/webhook", content=body, headers=headers)

    test()


@pytest.mark.parametrize("house", [False], indirect=True)
def test_forms_of_twilio(house: House) -> None:
    @fuzz(form=strategies.forms(samples.twilio_forms()))
    def test(form: dict[str, str]) -> None:
        headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}/whatsapp/webhook", form)}
        house.request("POST", "/whatsapp/webhook", data=form, headers=headers)

    test()


@pytest.mark.parametrize("house", [False], indirect=True)
def test_posts_of_the_web_chat_and_what_is_answered(house: House) -> None:
    house.request("GET", "/web/alice/")

    @fuzz(body=strategies.bodies(samples.web_posts()), answer=strategies.markdown | strategies.texts)
    def test(body: bytes, answer: str) -> None:
        house.answer = answer
        house.request("POST", "/web/alice/messages", content=body)

    test()
    assert house.request("GET", "/web/alice/transcript").status_code == 200


@pytest.mark.parametrize("house", [False], indirect=True)
def test_requests_of_chatkit(house: House) -> None:
    headers = {"content-type": "application/json", "authorization": "alice"}
    begun = samples.chatkit_requests("")[0]
    answer = house.request("POST", "/chatkit", json=begun, headers=headers)
    thread = json.loads(answer.text.partition("data: ")[2].partition("\n")[0])["thread"]["id"]

    @fuzz(body=strategies.bodies(samples.chatkit_requests(thread)))
    def test(body: bytes) -> None:
        house.request("POST", "/chatkit", content=body, headers=headers)

    test()


@pytest.mark.parametrize("house", [False], indirect=True)
@pytest.mark.parametrize("channel", ["slack", "telegram", "whatsapp"])
def test_what_a_model_answers(house: House, channel: str) -> None:
    @fuzz(answer=strategies.markdown | strategies.texts)
    def test(answer: str) -> None:
        house.answer = answer
        if channel == "slack":
            body = json.dumps(slack_events.direct_message("hello")).encode()
            house.request("POST", "/slack/events", content=body, headers=slack_events.headers(body))
        elif channel == "telegram":
            headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET_TOKEN}
            house.request("POST", "/telegram/webhook", json=telegram.private_message("hello"), headers=headers)
        else:
            form = twilio_webhook.inbound("hello")
            headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}/whatsapp/webhook", form)}
            house.request("POST", "/whatsapp/webhook", data=form, headers=headers)

    test()


@HOUSES
def test_requests_that_nobody_signed(house: House) -> None:
    # All but those that answer with a stream which does not end.
    routes = [path for path in _paths(house.gateway.asgi().routes) if not path.endswith("/updates")]
    assert len(routes) > 10

    @fuzz(sent=strategies.garbage(routes))
    def test(sent: strategies.Garbage) -> None:
        house.request(sent.method, sent.address, headers=sent.headers, content=sent.body)

    test()


def _paths(routes: Any) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "routes", None)
        yield route.path
        for path in _paths(inner or ()):
            yield route.path + path


@pytest.mark.parametrize("house", [True], indirect=True)
def test_callbacks_with_a_state_that_is_good(house: House) -> None:
    """Of a sign-in, and of an installation in Slack, in the browser that began it."""
    alice = Identity("telegram", "1", "1001")

    @fuzz(
        query=st.dictionaries(st.sampled_from(["code", "error", "x", "team", "iss"]), strategies.texts, max_size=3),
        provider=st.sampled_from(["fake", "fake", "%00", "google", "%ff"]),
    )
    def test(query: dict[str, str], provider: str) -> None:
        encoded = {name: value.encode(errors="replace") for name, value in query.items()}
        link = house.run(house.gateway.sign_in_link(alice, "Alice", "fake"))
        state = parse_qs(urlsplit(link).query)["state"][0]
        house.request("GET", f"/oauth/{provider}/callback?{urlencode({'state': state, **encoded})}")
        begun = house.request("GET", "/slack/install")
        cookie = begun.headers["set-cookie"].partition(";")[0]
        encoded["state"] = cookie.partition("=")[2].encode()
        house.request("GET", f"/slack/oauth_redirect?{urlencode(encoded)}", headers={"cookie": cookie})

    test()


RENDERERS: dict[str, tuple[Renderer, Callable[[str], int]]] = {
    "slack": (MrkdwnRenderer(), len),
    "telegram": (HtmlRenderer(), lambda text: len(text.encode("utf-16-le")) // 2),
    "whatsapp": (WhatsAppRenderer(), len),
}


@pytest.mark.parametrize("name", RENDERERS)
def test_what_is_rendered_fits(name: str) -> None:
    renderer, units = RENDERERS[name]

    @fuzz(pieces=st.lists(strategies.markdown.map(storable), max_size=4), times=st.sampled_from([1, 1, 1, 40]))
    def test(pieces: list[str], times: int) -> None:
        for part in renderer.render("\n".join(pieces * times)):
            part.encode()
            assert 0 < units(part) <= renderer._limit

    test()


def test_parsers_and_previews() -> None:
    @fuzz(text=strategies.markdown | strategies.texts, arguments=st.dictionaries(strategies.texts, strategies.values))
    def test(text: str, arguments: dict[str, Any]) -> None:
        for parsed in (unescape(text), without_mention(text, "U0PEERBOT"), preview.line(text), preview.block(text)):
            assert isinstance(parsed, str)
        command, argument = command_in(text, plain=True)
        assert (command is not None) or argument == ""
        assert "\n\n" in preview.call(storable(text), arguments)
        assert to_html(text) is not None
        storable(text).encode()

    test()
