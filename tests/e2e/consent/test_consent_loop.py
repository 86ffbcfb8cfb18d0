"""The whole consent loop in real browsers: sign in, get the answer, disconnect. Also with two people, and refusals."""

import httpx
import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, ChannelPerson, sign_in, wait_for_link, wait_for_mail
from e2e.served import Served, assert_only_mail_of
from peers import seed
from peers.emulate.server import Emulate
from peers.wait import wait_until
from playwright.sync_api import Browser, Page
from support.consent.pages import authorization_code, authorization_url, state_of

MAIL = "https://www.googleapis.com/auth/gmail.readonly"


@pytest.fixture
def channel() -> str:
    """The channel of tests that do not name any."""
    return "telegram"


@pytest.fixture
def served(serve: Serve, channel: str) -> Served:
    return serve(CHANNEL=channel)


def consent(page: Page, person: ChannelPerson) -> str:
    """Press the person's button on Google's page, and return the code that the gateway's page then shows."""
    page.get_by_role("button", name=person.person.email).click()
    page.get_by_role("heading", name="One more step").wait_for()
    assert person.person.email in page.inner_text("body")
    return page.locator(".code").inner_text()


def callback(served: Served, **query: str) -> httpx.Response:
    return httpx.get(f"{served.url}/oauth/google/callback", params=query, trust_env=False)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_person_connects_is_answered_and_disconnects(served: Served, alice: ChannelPerson, chromium: Browser) -> None:
    alice.write("what is new in my mail?")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(wait_for_link(alice))
        assert any("the page may ask you to confirm here" in text for text in alice.seen())
        code = consent(page, alice)
        assert served.rows("SELECT * FROM oauth_tokens") == []
        page.reload()
        page.get_by_role("heading", name="One more step").wait_for()
        page.get_by_text(code).wait_for()
        alice.write(code)
        assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
        page.reload()
        page.get_by_role("heading", name="Google is connected").wait_for()
        with chromium.new_context() as another:
            elsewhere = another.new_page()
            elsewhere.goto(page.url)
            elsewhere.get_by_role("heading", name="That did not work").wait_for()
    alice.write("and now?")
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))
    alice.command("disconnect")
    wait_until(lambda: served.rows("SELECT * FROM oauth_tokens") == [], what="the token is deleted")


def test_two_people_who_consent_in_reverse_order_each_see_their_own_mail(
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


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_person_who_refuses_consent_is_not_connected_and_can_try_again(
    served: Served, emulate: Emulate, alice: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    page = emulate.deny(wait_for_link(alice))
    assert (page.status_code, "Nothing was connected" in page.text) == (200, True)
    assert served.rows("SELECT * FROM oauth_tokens") == []
    wait_until(lambda: any("was not connected" in text for text in alice.seen()), what="alice is told of it")
    alice.write("and now?")
    wait_until(lambda: sum("/sign-in/" in text for text in alice.seen()) == 2, what="alice gets a second link")
    sign_in(alice, emulate)
    assert len(wait_for_mail(alice, 2)) == 2  # the answer to the first message is one of them


def test_a_person_who_grants_none_of_the_scopes_is_told_and_not_connected(
    served: Served, emulate: Emulate, alice: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    page = emulate.consent(wait_for_link(alice), seed.ALICE.email, "openid email")
    assert (page.status_code, "No permission was granted" in page.text) == (400, True)
    assert served.rows("SELECT * FROM oauth_tokens") == []


def test_a_person_who_grants_some_of_the_scopes_is_answered_with_these(
    served: Served, emulate: Emulate, alice: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    page = emulate.consent(wait_for_link(alice), seed.ALICE.email, f"openid email {MAIL}")
    assert "send mail" not in page.text
    alice.write(page.text.partition('class="code">')[2][:9])
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice))


def test_the_state_of_another_person_and_an_altered_state_are_refused(
    served: Served, emulate: Emulate, alice: ChannelPerson, bob: ChannelPerson
) -> None:
    alice.write("what is new in my mail?")
    bob.write("what is new in my mail?")
    link = wait_for_link(bob)
    hers, his = state_of(wait_for_link(alice)), state_of(link)
    code = authorization_code(emulate, authorization_url(link), seed.BOB.email)
    # PKCE: the code belongs to the verifier of his state.
    assert callback(served, state=hers, code=code).status_code == 400
    for state in (his[:-1], f"{his}x", hers.partition(".")[0], ""):
        assert callback(served, state=state, code=code).status_code == 400
    assert served.rows("SELECT * FROM oauth_tokens") == []
    assert served.rows("SELECT * FROM oauth_pending") == []
