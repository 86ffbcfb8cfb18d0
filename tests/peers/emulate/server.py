"""Google, Slack, Twilio and GitHub: npm `emulate`, started with what preload/emulate.mjs adds to it."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from peers import node, seed
from peers.emulate import browser
from peers.emulate.control import TIMEOUT, Control
from peers.emulate.slack import EmulatedSlack
from peers.emulate.twilio import EmulatedTwilio
from peers.process import Process, free_ports, retrying

PRELOAD = Path(__file__).parent / "preload" / "emulate.mjs"


class Emulate(EmulatedSlack, EmulatedTwilio):
    """The four servers in one process, with the people, mails and keys of seed.py.

    Its calls are synchronous. Where the receiver runs in the test's own event loop, call `consent`, `deny` and
    `whatsapp_post` in a thread (`asyncio.to_thread`): they return only after the receiver has answered.

    Args:
        redirect_uris: where the Google client and the Slack app may send a person back to.
        slack_events_url: where Slack's events go.
        sms_url: where WhatsApp messages go. `connect` changes all three.
    """

    client_id = seed.GOOGLE_CLIENT_ID
    client_secret = seed.GOOGLE_CLIENT_SECRET

    google_url: str  #: no slash at the end
    google: Control
    github_url: str  #: no slash at the end; its website and its API
    github: Control

    def __init__(
        self,
        redirect_uris: Sequence[str] = (),
        slack_events_url: str | None = None,
        sms_url: str | None = None,
    ) -> None:
        self.redirect_uris = list(redirect_uris)
        self.slack_events_url = slack_events_url
        self.sms_url = sms_url
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"emulate printed:\n{self.output()}")
        self.stop()

    def start(self) -> None:
        """Start the servers.

        Raises:
            node.UnavailableError: they cannot be had on this machine.
        """
        retrying(self._start)

    def stop(self) -> None:
        if self._process:
            self._http.close()
            self._process.stop()
            self._process = None

    def output(self) -> str:
        """Return the end of what the servers have printed."""
        return self._process.output() if self._process else ""

    def connect(
        self,
        redirect_uris: Sequence[str] | None = None,
        slack_events_url: str | None = None,
        sms_url: str | None = None,
    ) -> None:
        """Send people, events and messages to another gateway. None leaves an address as it is."""
        if redirect_uris is not None:
            self.redirect_uris = list(redirect_uris)
            for server in (self.google, self.slack, self.github):
                server.post("redirect-uris", uris=self.redirect_uris)
        if slack_events_url is not None:
            self.slack_events_url = slack_events_url
            self.slack.post("events-url", url=slack_events_url)
        if sms_url is not None:
            self.sms_url = sms_url
            self._set_sms_url(sms_url)

    @property
    def google_auth_uri(self) -> str:
        """The consent page."""
        return f"{self.google_url}/o/oauth2/v2/auth"

    @property
    def google_token_uri(self) -> str:
        return f"{self.google_url}/oauth2/token"

    @property
    def google_revoke_uri(self) -> str:
        return f"{self.google_url}/oauth2/revoke"

    @property
    def google_userinfo_uri(self) -> str:
        return f"{self.google_url}/oauth2/v2/userinfo"

    def disconnect(self) -> None:
        """Send people, events and messages nowhere."""
        self.connect((), "", "")

    def reset(self) -> None:
        """Go back to what seed.py says: forget every token, message, call and failure, but not what `connect` set."""
        for server in (self.google, self.slack, self.twilio, self.github):
            server.post("reset")
        self.connect(self.redirect_uris, sms_url=self.sms_url)
        for server in (self.google, self.slack, self.twilio, self.github):
            server.post("forget")

    def consent(
        self, authorization_url: str, email: str, scope: str | None = None, client: httpx.Client | None = None
    ) -> httpx.Response:
        """Consent as a person with a browser does, at Google's or Slack's page or a link that leads there.

        Args:
            scope: grant these scopes only (separated by spaces).
            client: the browser, where its cookies are to be kept.

        Returns:
            The page at the end: the gateway's callback, or the page that it redirects to.
        """
        return browser.consent(authorization_url, email, scope, client)

    def deny(self, authorization_url: str, client: httpx.Client | None = None) -> httpx.Response:
        """Refuse as a person with a browser does."""
        return browser.deny(authorization_url, client)

    def revoke(self, token: str) -> None:
        """Make a Google access or refresh token invalid. Only that one is: Google itself revokes both."""
        self._http.post(self.google_revoke_uri, data={"token": token}).raise_for_status()

    def _start(self) -> None:
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False)
        ports = free_ports(4)
        self.google_url, slack, self.twilio_url, self.github_url = (f"http://127.0.0.1:{port}" for port in ports)
        self.slack_url = f"{slack}/api/"
        self.google, self.slack, self.twilio, self.github = (
            Control(url, self._http) for url in (self.google_url, slack, self.twilio_url, self.github_url)
        )
        document = seed.seed(ports, self.redirect_uris, self.sms_url)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "seed.json"
            file.write_text(json.dumps(document))
            preload = PRELOAD.as_uri()
            main = str(node.script("emulate/dist/index.js"))
            argv = [str(node.node()), "--import", preload, main, "start", "--service", "google,slack,twilio,github"]
            self._process = Process(
                "emulate",
                [*argv, "--seed", str(file)],
                lambda: all(server.up() for server in (self.google, self.slack, self.twilio, self.github)),
                {"SLACK_EVENTS_URL": self.slack_events_url or ""},
            )
            self._process.start()
