"""A host application that posts each line that you type as a message from Alice, and prints the agent's answers.

Run it with `python cookbook/webhook/host.py`.
"""

import contextlib
import json
import os
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

GATEWAY = os.environ.get("GATEWAY", "http://127.0.0.1:8000")
signer = Webhook(os.environ["WEBHOOK_SECRET"])
shown: set[str] = set()  # the ids of answers; a real host keeps them in its database


class Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            said = signer.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.send_error(401)
        if said["type"] in ("answer", "sign_in") and said["id"] not in shown:
            shown.add(said["id"])
            print(said["text"], flush=True)  # noqa: T201
        self.send_response(204)
        return self.end_headers()


def post(text: str) -> None:
    """Post a message, and repeat that until the gateway accepts it."""
    message = {"id": str(uuid.uuid4()), "conversation": "u1", "shared": False, "sender": {"id": "u1", "name": "Alice"}}
    body, taken = json.dumps({**message, "type": "message", "text": text}), False
    while not taken:
        now = datetime.now(UTC)
        headers = {
            "webhook-id": str(message["id"]),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signer.sign(str(message["id"]), now, body),
        }
        with contextlib.suppress(httpx.TransportError):
            taken = httpx.post(f"{GATEWAY}/webhook/messages", content=body, headers=headers).is_success
        time.sleep(0 if taken else 2)


server = HTTPServer(("127.0.0.1", urlsplit(os.environ["WEBHOOK_URL"]).port or 80), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
for line in sys.stdin:
    post(line)
