"""A sign-in link connects only the person for whom it was made, whoever opens it."""

import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, OnSlack, sign_in, wait_for_link, wait_for_mail
from e2e.served import assert_only_mail_of
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from playwright.sync_api import Browser

PHONE = {"width": 360, "height": 640}


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_forwarded_link_connects_nobody_to_the_account_of_the_person_who_opens_it(
    channel: str, serve: Serve, emulate: Emulate, telegram: TelegramServer, chromium: Browser
) -> None:
    served = serve(CHANNEL=channel)
    alice, bob = (CHANNELS[channel](person, emulate, telegram) for person in (seed.ALICE, seed.BOB))
    alice.write("what is new in my mail?")
    with chromium.new_context(viewport=PHONE) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(wait_for_link(alice))
        page.get_by_role("button", name=seed.BOB.email).click()
        page.get_by_role("heading", name="One more step").wait_for()
        text = page.inner_text("body")
        code = page.locator(".code").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    identity = served.rows("SELECT user_id FROM oauth_pending")[0][0]
    assert all(
        words in text for words in (seed.BOB.email, identity, "read your mail", "do not give the code to anyone")
    )
    assert served.rows("SELECT * FROM oauth_tokens") == []
    bob.write(code)  # Bob has consented, but the link was made for Alice
    wait_until(lambda: any("/sign-in/" in said for said in bob.seen()), what="bob is asked to sign in himself")
    for _ in range(5):
        alice.write("0000 0000")
    wait_until(lambda: any("nothing was connected" in said for said in alice.seen()), what="alice has no try left")
    alice.write(code)
    wait_until(lambda: sum("/sign-in/" in said for said in alice.seen()) == 2, what="alice is asked to sign in again")
    assert served.rows("SELECT * FROM oauth_tokens") == []
    wait_until(lambda: served.rows("SELECT count(*) FROM oauth_revocations") == [(0,)], what="the grant is revoked")
    revoked = emulate.google.calls("/oauth2/revoke")
    assert [call.status for call in revoked] == [200]
    sign_in(alice, emulate)
    assert_only_mail_of(seed.ALICE, wait_for_mail(alice, 2))


@pytest.mark.parametrize("own", [True, False])
def test_email_addresses_of_slack_are_trusted_only_for_the_operators_own_workspaces(
    serve: Serve, emulate: Emulate, telegram: TelegramServer, own: bool
) -> None:
    serve(CHANNEL="slack", SLACK_OWN_WORKSPACES=seed.SLACK_TEAM_ID if own else "T0ANOTHER")
    alice = OnSlack(seed.ALICE, emulate, telegram)
    alice.write("what is new in my mail?")
    page = emulate.consent(wait_for_link(alice), seed.ALICE.email)
    assert ("Google is connected" in page.text) == own
    if own:
        assert_only_mail_of(seed.ALICE, wait_for_mail(alice))
