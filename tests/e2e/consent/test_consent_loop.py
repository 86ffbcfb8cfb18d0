"""The consent loop, whole, in real browsers: connect, act, disconnect; by two people at once, or against each other."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, ChannelPerson, sign_in, wait_for_link, wait_for_mail
from e2e.served import Served, assert_only_mail_of
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until
from playwright.sync_api import Browser, Page
from support.consent.pages import authorization_code

MAIL = "https://www.googleapis.com/auth/gmail.readonly"


@pytest.fixture
def channel() -> str:
    """The one of the tests that are not for each."""
    return "telegram"


@pytest.fixture
def served(serve: Serve, channel: str) -> Served:
    return serve(CHANNEL=channel)


def consent(page: Page, person: ChannelPerson) -> str:
    """Presses the person's button at Google's page; returns the code that ours shows then."""
    page.get_by_role("button", name=person.person.email).click()
    page.get_by_role("heading", name="One more step").wait_for()
    assert person.person.email in page.inner_text("body")
    return page.locator(".code").inner_text()


def callback(served: Served, **query: str) -> httpx.Response:
    return httpx.get(f"{served.url}/oauth/google/callback", params=query, trust_env=False)


def state_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["state"][0]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_person_connects_is_answered_and_disconnects(served: Served, alice: ChannelPerson, chromium: Browser) -> None:
    alice.write("what is new in my mail?")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(wait_for_link(alice))
        assert any("if the page then shows a code, send it to me" in text for text in alice.seen())
        code = consent(page, alice)
        assert served.rows("SELECT * FROM oauth_tokens") == []
        alice.write(code)
        assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
        page.reload()
        page.get_by_role("heading", name="One more step").wait_for()
        page.get_by_text(code).wait_for()
        with chromium.new_context() as another:
            elsewhere = another.new_page()
            elsewhere.goto(page.url)
            elsewhere.get_by_role("heading", name="That did not work").wait_for()
    alice.write("and now?")
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))
    alice.command("disconnect")
    wait_until(lambda: served.rows("SELECT * FROM oauth_tokens") == [], what="the token is gone")


def test_two_people_who_finish_in_the_others_order_each_get_their_own(
    served: Served, alice: ChannelPerson, bob: ChannelPerson, chromium: Browser
) -> None:
    alice.write("what is new in my mail?")
    first = wait_for_link(alice)
    bob.write("what is new in my mail?")
    second = wait_for_link(bob)
    with chromium.new_context() as hers, chromium.new_context() as his:
        her_page, his_page = hers.new_page(), his.new_page()
        her_page.goto(first)
        his_page.goto(second)
        his_code, her_code = consent(his_page, bob), consent(her_page, alice)
    alice.write(her_code)
    bob.write(his_code)
    for person in (bob, alice):
        assert_only_mail_of(person.person, wait_for_mail(person))


def test_who_denies_is_not_connected_and_can_try_again(served: Served, emulate: Emulate, alice: ChannelPerson) -> None:
    alice.write("what is new in my mail?")
    page = emulate.deny(wait_for_link(alice))
    assert (page.status_code, "Nothing was connected" in page.text) == (200, True)
    assert served.rows("SELECT * FROM oauth_tokens") == []
    wait_until(lambda: any("was not connected" in text for text in alice.seen()), what="what became of it")
    alice.write("and now?")
    wait_until(lambda: sum("/o/oauth2/" in text for text in alice.seen()) == 2, what="a second link")
    sign_in(alice, emulate)
    assert len(wait_for_mail(alice, 2)) == 2  # what waited is answered, too


def test_who_grants_nothing_of_what_was_asked_for_is_told_so(
    served: Served, emulate: Emulate, alice: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    page = emulate.consent(wait_for_link(alice), seed.ALICE.email, "openid email")
    assert (page.status_code, "No permission was granted" in page.text) == (400, True)
    assert served.rows("SELECT * FROM oauth_tokens") == []


def test_who_grants_less_is_answered_with_that(served: Served, emulate: Emulate, alice: ChannelPerson) -> None:
    alice.write("what is new in my mail?")
    page = emulate.consent(wait_for_link(alice), seed.ALICE.email, f"openid email {MAIL}")
    assert "send mail" not in page.text
    alice.write(page.text.partition('class="code">')[2][:9])
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice))


def test_a_state_of_somebody_elses_is_good_for_nothing(
    served: Served, emulate: Emulate, alice: ChannelPerson, bob: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    bob.write("what is new in my mail?")
    hers, his = wait_for_link(alice), wait_for_link(bob)
    code = authorization_code(emulate, his, seed.BOB.email)
    assert callback(served, state=state_of(hers), code=code).status_code == 400  # PKCE: it is for his verifier
    for state in (state_of(his)[:-1], f"{state_of(his)}x", state_of(hers).partition(".")[0], ""):
        assert callback(served, state=state, code=code).status_code == 400
    assert served.rows("SELECT * FROM oauth_tokens") == []
    assert served.rows("SELECT * FROM oauth_pending") == []
