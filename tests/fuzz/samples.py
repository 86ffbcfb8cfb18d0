"""The captured payloads of the channels' sample_messages.md, which the fuzz tests change."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from gateway.testing import Sample, read_samples

Json = dict[str, Any]


def slack_events() -> list[Json]:
    return list(_objects("slack"))


def slack_commands() -> list[dict[str, str]]:
    return [sample.form for sample in _samples("slack", "/slack/commands")]


def telegram_updates() -> list[Json]:
    return list(_objects("telegram"))


def twilio_forms(path: str = "") -> list[dict[str, str]]:
    return [sample.form for sample in _samples("whatsapp", path)]


def web_posts() -> list[Json]:
    return list(_objects("web", "/web/alice/messages"))


def chatkit_requests(thread_id: str) -> list[Json]:
    """Return the requests of ChatKit, with the id of a thread that exists."""
    requests = list(_objects("chatkit"))
    for request in requests:
        if isinstance(request.get("params"), dict) and request["type"] != "threads.delete":
            request["params"] = {
                name: thread_id if value == "thr_none" else value for name, value in request["params"].items()
            }
    return requests


def copied(payload: Json) -> Any:
    return json.loads(json.dumps(payload))


def _samples(channel: str, path: str = "") -> list[Sample]:
    samples = read_samples(files(f"interfaces.{channel}") / "sample_messages.md")
    return [sample for sample in samples if sample.path == path]


def _objects(channel: str, path: str = "") -> Iterator[Json]:
    """Yield the bodies that are JSON objects."""
    for sample in _samples(channel, path):
        try:
            body = sample.json
        except ValueError:
            continue
        if isinstance(body, dict):
            yield body
