"""A Starlette route that only checks Slack's signature: the baseline for the gateway's webhook."""

import sys

import uvicorn
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.harness.events import SIGNING_SECRET

verifier = SignatureVerifier(SIGNING_SECRET)


async def receive(request: Request) -> Response:
    return Response(status_code=200 if verifier.is_valid_request(await request.body(), dict(request.headers)) else 401)


app = Starlette(routes=[Route("/slack/events", receive, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
