"""Google, Slack, Twilio and GitHub: npm `emulate`, with the additions in preload/."""

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

    Its methods are synchronous. `consent`, `deny` and `whatsapp_post` return only after the gateway has answered, so
    call them in a thread (`asyncio.to_thread`) if the gateway runs in the event loop of the test. `connect` connects
    the servers to a gateway that starts later.

    Args:
        redirect_uris: the redirect URIs of the OAuth clients at Google, Slack and GitHub.
        slack_events_url: where Slack sends its events.
        sms_url: where Twilio sends WhatsApp messages.
    """

    client_id = seed.GOOGLE_CLIENT_ID
    client_secret = seed.GOOGLE_CLIENT_SECRET

    google_url: str  #: without a slash at the end
    google: Control
    github_url: str  #: the base URL of both the website and the API, without a slash at the end
    github: Control

    def __init__(
        self,
        redirect_uris: Sequence[str] = (),
        slack_events_url: str | None = None,
        sms_url: str | None = None,
    ) -> None:
        self.redirect_uris = list(redirect_uris)
        self.slack_events_url = self.events_receiver = slack_events_url
        self.sms_url = sms_url
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"The output of emulate:\n{self.output()}")
        self.stop()

    def start(self) -> None:
        """Start the servers.

        Raises:
            node.UnavailableError: the servers cannot run on this machine.
        """
        retrying(self._start)

    def stop(self) -> None:
        if self._process:
            self._http.close()
            self._process.stop()
            self._process = None

    def output(self) -> str:
        """Return the end of the servers' output."""
        return self._process.output() if self._process else ""

    def connect(
        self,
        redirect_uris: Sequence[str] | None = None,
        slack_events_url: str | None = None,
        sms_url: str | None = None,
    ) -> None:
        """Connect the servers to a gateway: see `Emulate`. An argument that is `None` changes nothing."""
        if redirect_uris is not None:
            for server in (self.google, self.slack, self.github):
                server.post("redirect-uris", uris=list(redirect_uris))
        if slack_events_url is not None:
            self.events_receiver = slack_events_url
            self.slack.post("events-url", url=slack_events_url)
        if sms_url is not None:
            self._set_sms_url(sms_url)

    @property
    def google_auth_uri(self) -> str:
        """The URL of Google's consent page."""
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

    def reset(self) -> None:
        """Restore what the servers were at their start, with the arguments of the constructor.

        The servers forget every token, message, call, scripted failure and later connection.
        """
        self.events_receiver = self.slack_events_url
        self.google.post("reset")

    def consent(
        self, authorization_url: str, email: str, scope: str | None = None, client: httpx.Client | None = None
    ) -> httpx.Response:
        """Consent as a person in a browser does, at the consent page of Google, Slack or GitHub.

        Args:
            authorization_url: the consent page, or a link that redirects to it.
            email: the account that the person chooses.
            scope: the scopes that the person grants, separated by spaces, if not all.
            client: a browser that already has cookies, or that keeps those of this visit.

        Returns:
            The response of the gateway's callback, or of the page to which the callback redirects.
        """
        return browser.consent(authorization_url, email, scope, client)

    def deny(self, authorization_url: str, client: httpx.Client | None = None) -> httpx.Response:
        """Refuse consent as a person in a browser does."""
        return browser.deny(authorization_url, client)

    def revoke(self, token: str) -> None:
        """Make a Google access or refresh token invalid, but not the other one. (Google itself revokes both.)"""
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
