"""No token, code, verifier or state appears in a log, error, page or chat, or unencrypted in the database."""

from collections.abc import Iterator
from urllib.parse import parse_qs

import httpx
import pytest
from e2e.conftest import Serve
from e2e.people import CHANNELS, ChannelPerson, wait_for_link, wait_for_mail
from peers import seed
from peers.emulate.server import Emulate
from peers.telegram.server import TelegramServer
from peers.wait import wait_until
from support.consent.pages import code_on, state_of

NAMES = ("code", "code_verifier", "refresh_token", "token")


def used_at_google(emulate: Emulate) -> Iterator[str]:
    """Yield every secret that was sent to Google."""
    for call in emulate.google.calls():
        fields = parse_qs(call.body) if call.path.startswith("/oauth2/") else {}
        yield from (fields[name][0] for name in NAMES if name in fields)
        if call.authorization is not None:
            yield call.authorization.removeprefix("Bearer ")


@pytest.mark.parametrize("channel", CHANNELS)
def test_secrets_are_in_no_log_page_or_chat_and_not_in_clear_in_the_database(
    channel: str, serve: Serve, emulate: Emulate, telegram: TelegramServer
) -> None:
    served = serve(CHANNEL=channel)
    alice: ChannelPerson = CHANNELS[channel](seed.ALICE, emulate, telegram)
    states, pages = [], []

    def sign_in(links: int) -> None:
        wait_until(lambda: sum("/sign-in/" in text for text in alice.seen()) == links, what=f"link {links} is sent")
        link = wait_for_link(alice)
        states.extend((link.rpartition("/")[2], state_of(link)))
        if links == 1:  # Google fails once, so that the first attempt uses its state up
            emulate.google.fail("/oauth2/token", 500, body={"error": "server_error", "error_description": link})
            pages.append(emulate.consent(link, seed.ALICE.email).text)
            pages.append(httpx.get(link, trust_env=False).text)
            alice.write("once more, please")
            sign_in(2)
            return
        pages.append(emulate.consent(link, seed.ALICE.email).text)
        alice.write("0000 0000")
        alice.write(code_on(pages[-1]))

    alice.write("what is new in my mail?")
    sign_in(1)
    wait_for_mail(alice, 2)
    token = emulate.google.calls("/messages")[-1].authorization
    assert token is not None
    emulate.revoke(token.removeprefix("Bearer "))
    emulate.google.fail("/oauth2/token", 503, times=2)
    alice.write("and now?")
    wait_for_mail(alice, 3, timeout=30)
    alice.command("disconnect")
    wait_until(lambda: any("is disconnected" in text for text in alice.seen()), what="alice is told of it")
    wait_until(lambda: served.rows("SELECT count(*) FROM oauth_revocations") == [(0,)], 15, "the grant is revoked")
    stored = served.stored_bytes()
    assert served.stop() == 0

    secrets = {*used_at_google(emulate), *states}
    assert len([secret for secret in secrets if secret.startswith("google_")]) >= 3
    assert len(secrets) > 8
    chats = "\n".join(text for text in alice.seen() if "/sign-in/" not in text)
    for secret in secrets:
        for where, text in (("the log", served.output()), ("a page", "\n".join(pages)), ("the chat", chats)):
            assert secret not in text, f"{secret[:12]}… is in {where}"
        assert secret.encode() not in stored
