"""No request, signed or not, causes a 500, an error in the log, a message that is never done or a failed rendering.

`make test` runs each test with a few examples, always the same ones. `make fuzz` runs each test for FUZZ_SECONDS
seconds with random examples, whose seed is FUZZ_SEED.
"""

import gc
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
from fuzz import samples, strategies
from fuzz.target import URL, Target, platforms
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from peers.telegram import updates as telegram
from peers.webhooks import slack_events, twilio_webhook
from support.channels.renderers import RENDERERS, check_rendering
from support.consent.sign_ins import state_of

from gateway import Identity
from gateway.channels.commands import command_in
from interfaces.slack.format import unescape, without_mention
from interfaces.web.format import to_html
from toolkits import preview
from toolkits.text import storable

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or time.time_ns() % 2**32
EXAMPLES = 50 if SECONDS else 10  # in each run of a test
GROWTH = 1.1  # the largest allowed ratio of memory at the end of a long run to memory in its middle

Test = Callable[[], None]
pytestmark = [pytest.mark.timeout(120 + 2 * SECONDS), pytest.mark.long]
EITHER_SLACK = pytest.mark.parametrize("target", [False, True], ids=["one workspace", "many workspaces"], indirect=True)


@pytest.fixture(scope="module")
def platforms_url() -> Iterator[str]:
    with platforms() as url:
        yield url


@pytest.fixture(scope="module")
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, platforms_url: str
) -> Iterator[Target]:
    with Target(tmp_path_factory.mktemp("target"), platforms_url, many=request.param).opened() as target:
        yield target


def fuzz(**given_values: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Test]:
    """Return a decorator that calls a function with a few fixed examples, or with new ones for FUZZ_SECONDS seconds."""

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
    """Repeat a test, and check that its memory stops growing."""
    began, number, sizes = time.monotonic(), 0, []
    while (elapsed := time.monotonic() - began) < SECONDS:
        hypothesis.seed(SEED + number)(test)()
        number += 1
        gc.collect()
        sizes.append((elapsed / SECONDS, int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()))
    print(f"{number * EXAMPLES} examples from FUZZ_SEED={SEED}, {sizes[-1][1] / 1e6:.1f} MB")
    middle = next(size for when, size in sizes if when >= 0.5 or (when, size) == sizes[-1])
    assert sizes[-1][1] < middle * GROWTH


@EITHER_SLACK
def test_changed_slack_events_cause_no_error(target: Target) -> None:
    @fuzz(body=strategies.bodies(samples.slack_events()))
    def test(body: bytes) -> None:
        target.request("POST", "/slack/events", content=body, headers=slack_events.headers(body))

    test()


@EITHER_SLACK
def test_changed_slash_commands_cause_no_error(target: Target) -> None:
    @fuzz(form=strategies.forms(samples.slack_commands()))
    def test(form: dict[str, str]) -> None:
        body = urlencode(form).encode()
        headers = slack_events.headers(body, content_type="application/x-www-form-urlencoded")
        target.request("POST", "/slack/commands", content=body, headers=headers)

    test()


@pytest.mark.parametrize("target", [False], indirect=True)
def test_changed_telegram_updates_cause_no_error(target: Target) -> None:
    headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET_TOKEN}

    @fuzz(body=strategies.bodies(samples.telegram_updates()))
    def test(body: bytes) -> None:
        target.request("POST", "/telegram/webhook", content=body, headers=headers)

    test()


@pytest.mark.parametrize("target", [False], indirect=True)
def test_changed_twilio_forms_cause_no_error(target: Target) -> None:
    @fuzz(form=strategies.forms(samples.twilio_forms()))
    def test(form: dict[str, str]) -> None:
        headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}/whatsapp/webhook", form)}
        target.request("POST", "/whatsapp/webhook", data=form, headers=headers)

    test()


@pytest.mark.parametrize("target", [False], indirect=True)
def test_changed_status_callbacks_of_twilio_cause_no_error(target: Target) -> None:
    path = "/whatsapp/webhook/status?key=k"

    @fuzz(form=strategies.forms(samples.twilio_forms(path)))
    def test(form: dict[str, str]) -> None:
        target.request("POST", path, data=form, headers={"X-Twilio-Signature": twilio_webhook.sign(URL + path, form)})

    test()


@pytest.mark.parametrize("target", [False], indirect=True)
def test_changed_web_chat_messages_and_any_answers_cause_no_error(target: Target) -> None:
    target.request("GET", "/web/alice/")

    @fuzz(body=strategies.bodies(samples.web_posts()), answer=strategies.markdown | strategies.texts)
    def test(body: bytes, answer: str) -> None:
        target.answer = answer
        target.request("POST", "/web/alice/messages", content=body)

    test()
    assert target.request("GET", "/web/alice/transcript").status_code == 200


@pytest.mark.parametrize("target", [False], indirect=True)
def test_changed_chatkit_requests_cause_no_error(target: Target) -> None:
    headers = {"content-type": "application/json", "authorization": "alice"}
    begun = samples.chatkit_requests("")[0]
    answer = target.request("POST", "/chatkit", json=begun, headers=headers)
    thread = json.loads(answer.text.partition("data: ")[2].partition("\n")[0])["thread"]["id"]

    @fuzz(body=strategies.bodies(samples.chatkit_requests(thread)))
    def test(body: bytes) -> None:
        target.request("POST", "/chatkit", content=body, headers=headers)

    test()


@pytest.mark.parametrize("target", [False], indirect=True)
@pytest.mark.parametrize("channel", ["slack", "telegram", "whatsapp"])
def test_any_answer_of_the_model_is_delivered(target: Target, channel: str) -> None:
    @fuzz(answer=strategies.markdown | strategies.texts)
    def test(answer: str) -> None:
        target.answer = answer
        if channel == "slack":
            body = json.dumps(slack_events.direct_message("hello")).encode()
            target.request("POST", "/slack/events", content=body, headers=slack_events.headers(body))
        elif channel == "telegram":
            headers = {"X-Telegram-Bot-Api-Secret-Token": telegram.SECRET_TOKEN}
            target.request("POST", "/telegram/webhook", json=telegram.private_message("hello"), headers=headers)
        else:
            form = twilio_webhook.inbound("hello")
            headers = {"X-Twilio-Signature": twilio_webhook.sign(f"{URL}/whatsapp/webhook", form)}
            target.request("POST", "/whatsapp/webhook", data=form, headers=headers)

    test()


@EITHER_SLACK
def test_random_unsigned_requests_cause_no_error(target: Target) -> None:
    # Leave out the routes that answer with a stream without an end.
    routes = [path for path in _paths(target.gateway.asgi().routes) if not path.endswith("/updates")]
    assert len(routes) > 10

    @fuzz(sent=strategies.garbage(routes))
    def test(sent: strategies.Garbage) -> None:
        target.request(sent.method, sent.address, headers=sent.headers, content=sent.body)

    test()


def _paths(routes: Any) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "routes", None)
        yield route.path
        for path in _paths(inner or ()):
            yield route.path + path


@pytest.mark.parametrize("target", [True], indirect=True)
def test_callbacks_with_a_valid_state_and_random_parameters_cause_no_error(target: Target) -> None:
    """Test the callbacks of a sign-in and of a Slack installation, the latter in the browser that began it."""
    alice = Identity("telegram", "1", "1001")

    @fuzz(
        query=st.dictionaries(st.sampled_from(["code", "error", "x", "team", "iss"]), strategies.texts, max_size=3),
        provider=st.sampled_from(["fake", "fake", "%00", "google", "%ff"]),
    )
    def test(query: dict[str, str], provider: str) -> None:
        encoded = {name: value.encode(errors="replace") for name, value in query.items()}
        link = target.run(target.gateway.sign_in_link(alice, "Alice", "fake"))
        state = target.run(state_of(target.gateway, link))
        target.request("GET", f"/oauth/{provider}/callback?{urlencode({'state': state, **encoded})}")
        begun = target.request("GET", "/slack/install")
        cookie = begun.headers["set-cookie"].partition(";")[0]
        encoded["state"] = cookie.partition("=")[2].encode()
        target.request("GET", f"/slack/oauth_redirect?{urlencode(encoded)}", headers={"cookie": cookie})

    test()


@pytest.mark.parametrize("name", RENDERERS)
def test_every_platform_takes_every_rendered_part_and_nothing_is_lost(name: str) -> None:
    @fuzz(pieces=st.lists(strategies.markdown.map(storable), max_size=4), times=st.sampled_from([1, 1, 1, 40]))
    def test(pieces: list[str], times: int) -> None:
        check_rendering(name, "\n".join(pieces * times))

    test()


def test_parsers_and_previews_accept_any_text() -> None:
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
