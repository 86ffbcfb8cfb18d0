"""Hypothesis strategies that change documented payloads into undocumented ones, and build random requests."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes, urlencode

from fuzz.samples import copied
from hypothesis import strategies as st

TEXTS = (
    "", " ", "\0", "\ud800", "\udc00x", "\ufffd", "\n", "٣", "-1", "0", "9" * 5000, "x" * 5000, "a\u202eb", "🎭",
    "null", "true", "<@U0PEERBOT>", "<@", "<!channel>", "<https://a|", "&lt;", "/start x", "accounts", "yes",
    "T0PEERS01", "D0ALICE01", "E1", "message", "app_mention", "im", "private", "supergroup", "bot_command",
)  # fmt: skip
SCALARS = (None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, 2**31, 2**63, 10**30, -(10**30))
MARKDOWN = (
    "**", "*", "_", "~~", "`", "```\n", "[", "](https://a.test)", "](javascript:x)", "\n", "\n\n", "- ", "1. ", "> ",
    "|", "|---|", "<b>", "&amp;", "\\", "![x](y)", "<@U1>", "<!here>", "word ", "🎭", "\u202e", "\t", "---", "# ",
)  # fmt: skip

texts = st.sampled_from(TEXTS) | st.text(max_size=12)
markdown = st.lists(st.sampled_from(MARKDOWN) | st.text(max_size=4), max_size=30).map("".join)
scalars = st.sampled_from(SCALARS) | texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
) | st.sampled_from([[], {}, [None], {"id": []}, [[[[]]]], {"type": "message"}])

Path = tuple[str | int, ...]


def paths(payload: Any, prefix: Path = ()) -> list[Path]:
    """Return the path of every value in a payload."""
    items: Sequence[tuple[str | int, Any]] = []
    if isinstance(payload, dict):
        items = list(payload.items())
    elif isinstance(payload, list):
        items = list(enumerate(payload))
    found: list[Path] = []
    for key, value in items:
        found += [(*prefix, key), *paths(value, (*prefix, key))]
    return found


@st.composite
def payloads(draw: st.DrawFn, samples: Sequence[Mapping[str, Any]]) -> Any:
    """Draw one of the samples, with a few values changed, moved or removed."""
    payload = copied(dict(draw(st.sampled_from(list(samples)))))
    for _ in range(draw(st.integers(0, 3))):
        places = paths(payload)
        if not places:
            break
        *within, last = draw(st.sampled_from(places))
        inner = payload
        for key in within:
            inner = inner[key]
        change = draw(st.sampled_from(["replace", "replace", "remove", "wrap", "copy", "add"]))
        if change == "replace":
            inner[last] = deepcopy(draw(values))  # a copy, since a later step may change it
        elif change == "remove":
            del inner[last]
        elif change == "wrap":
            inner[last] = [inner[last]] if draw(st.booleans()) else {"id": inner[last]}
        elif change == "copy":
            *other, end = draw(st.sampled_from(places))
            source = payload
            for key in other:
                source = source[key] if _has(source, key) else {}
            if _has(source, end):
                inner[last] = json.loads(json.dumps(source[end]))
        elif isinstance(inner, dict):
            inner[draw(texts)] = deepcopy(draw(values))
    return payload


def _has(container: Any, key: str | int) -> bool:
    if isinstance(container, dict):
        return key in container
    return isinstance(container, list) and isinstance(key, int) and key < len(container)


@st.composite
def bodies(draw: st.DrawFn, samples: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw a payload as JSON, sometimes malformed."""
    body = json.dumps(draw(payloads(samples)), ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    change = draw(st.sampled_from(["none"] * 6 + ["cut", "insert", "nest", "twice", "number", "other"]))
    at = draw(st.integers(0, len(body)))
    if change == "cut":
        return body[:at]
    if change == "insert":
        return body[:at] + draw(st.binary(max_size=4)) + body[at:]
    if change == "nest":
        depth = draw(st.sampled_from([1, 100, 250, 5000, 100_000]))
        return b'{"event":' + b"[" * depth + body + b"]" * depth + b"}"
    if change == "twice":
        return b'{"type":1,"update_id":{},' + body[1:]
    if change == "number":
        number = draw(st.sampled_from([b"NaN", b"-Infinity", b"1e999", b"0x1", b"1" * 5000, b"1" * 4000, b"01"]))
        return body.replace(b"1", number, 1)
    if change == "other":
        return draw(st.binary(max_size=30))
    return body


@st.composite
def forms(draw: st.DrawFn, samples: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Draw one of the samples, with a few fields changed, removed or added."""
    form = dict(draw(st.sampled_from(list(samples))))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(sorted(form)) | texts) if form else draw(texts)
        if draw(st.booleans()):
            form[_utf8(name)] = _utf8(draw(texts))
        else:
            form.pop(name, None)
    return form


def _utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


class Garbage(NamedTuple):
    """A request without a signature."""

    method: str
    address: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


HEADERS = ("content-type", "content-length", "cookie", "host", "origin", "authorization", "x-slack-signature",
           "x-slack-request-timestamp", "x-telegram-bot-api-secret-token", "x-twilio-signature", "range",
           "last-event-id", "accept")  # fmt: skip
HEADER_VALUES = (b"", b"0", b"-1", b"9" * 400, b"application/json", b"application/x-www-form-urlencoded", b"\xff\xfe",
                 b"v0=" + b"0" * 64, b"A" * 27 + b"=", b"understudy_person=alice.x", b"slack-app-oauth-state=x",
                 b"bytes=0-,-1", b"[::1", b"127.0.0.1:99999", b"a\tb")  # fmt: skip

segments = st.sampled_from([b"..", b"%", b"\0", b"\xff", b"google", b"fake", b"x" * 300]) | st.binary(max_size=5)
queries = st.dictionaries(
    st.sampled_from(["state", "code", "error", "team", "x", "bodySHA256"]), texts.map(_utf8), max_size=4
).map(urlencode)


@st.composite
def garbage(draw: st.DrawFn, routes: Sequence[str]) -> Garbage:
    """Draw a request to one of the routes, or to a path below it."""
    address = draw(st.sampled_from(list(routes)))
    while "{" in address:
        before, _, rest = address.partition("{")
        address = before + quote_from_bytes(draw(segments)) + rest.partition("}")[2]
    if draw(st.integers(0, 4)) == 0:
        address += "/" + quote_from_bytes(draw(segments))
    if query := draw(queries):
        address += f"?{query}"
    method = draw(st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "X"]))
    names = st.sampled_from(HEADERS).map(str.encode)
    given = draw(st.lists(st.tuples(names, st.sampled_from(HEADER_VALUES)), max_size=4, unique_by=lambda pair: pair[0]))
    return Garbage(method, address, given, draw(st.binary(max_size=50)))
