"""Verify that Slack sent a request: https://docs.slack.dev/authentication/verifying-requests-from-slack"""

import re
import time

from slack_sdk.signature import SignatureVerifier
from starlette.requests import Request

from gateway.channels.refusals import WebhookRefusedError

TIMESTAMP_HEADER = "x-slack-request-timestamp"
SIGNATURE_HEADER = "x-slack-signature"
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")
LONGEST_AGE = 300  # seconds: Slack's verifier accepts no older timestamp


class SignatureCheck:
    """Verifies requests with the app's signing secret.

    Args:
        variable: the setting that has the secret.
    """

    def __init__(self, signing_secret: str, variable: str) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._variable = variable

    def check_headers(self, request: Request) -> None:
        """Check that a request has a timestamp and a well-formed signature, before its body is read.

        Raises:
            WebhookRefusedError: if it does not.
        """
        timestamp, signature = _signed(request)
        if not (TIMESTAMP.fullmatch(timestamp) and SIGNATURE.fullmatch(signature)):
            raise WebhookRefusedError(401, "it has no signature of Slack's", "Slack did not send it.")

    def check(self, body: bytes, request: Request) -> None:
        """Check the signature of a request whose headers were checked.

        Raises:
            WebhookRefusedError: if the signature is not Slack's, or too old.
        """
        timestamp, signature = _signed(request)
        if self._verifier.is_valid(body.decode(errors="replace"), timestamp, signature):
            return
        if abs(time.time() - int(timestamp)) > LONGEST_AGE:
            raise WebhookRefusedError(
                401,
                "its timestamp is more than five minutes off",
                "If Slack sent it, the clock of this machine is wrong.",
            )
        raise WebhookRefusedError(
            401,
            "its signature does not match",
            f"If Slack sent it, {self._variable} is another app's: it is the Signing Secret under Basic Information "
            "at https://api.slack.com/apps.",
        )


def _signed(request: Request) -> tuple[str, str]:
    """Return the timestamp and the signature of a request, empty where there is none."""
    return request.headers.get(TIMESTAMP_HEADER, ""), request.headers.get(SIGNATURE_HEADER, "")
