"""The pages of the web chat, and the endpoints that they call."""

import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import anyio
from itsdangerous import BadSignature, Signer
from pydantic import BaseModel, ValidationError
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.channels import Host, Interface, Press, Rating, TranscriptEntry, TranscriptQuestion
from gateway.channels.requests import parse_json, read_body
from gateway.channels.uploads import receive, reserve
from interfaces.web import parse
from interfaces.web.loopback import LoopbackOnly
from interfaces.web.present import WebPresenter
from oauth import SettingError
from toolkits import Message

COOKIE = "understudy_person"
STATIC = Path(str(files("interfaces.web"))) / "static"
RECONNECT = 500  # milliseconds until a window connects again
FAREWELL_SECONDS = 1.0  # in which the updates of a window end when the gateway stops
RUNNING = "Understudy-Running"  # the header that says whether a message waits or is being answered
DESCRIPTION = "What can I do for you?"  # in an empty chat, if the agent has no description
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Posted = TypeVar("Posted", bound=BaseModel)


class _Static(StaticFiles):
    """Files that browsers ask for each time, because scripts of two versions do not fit together."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


class Web(Interface):
    """A web chat for development, in which you are one person in one window and another in the next.

    There is no sign-in: it only answers browsers on this machine. The person of a window is in a signed cookie that the
    server sets with the window's page, and never in what the page sends.

    Args:
        people: the names to choose from.
        panel: whether windows show the steps of turns, with the arguments and results of tools: `understudy dev` does.
    """

    channel = parse.CHANNEL
    address = "/"
    presenter: WebPresenter

    def __init__(self, people: Sequence[str] = ("Alice", "Bob", "Carol"), *, panel: bool = False) -> None:
        self._people = {name.lower(): name for name in people}
        self._signer = Signer(secrets.token_bytes(32), salt="person")
        self.presenter = WebPresenter(has_panel=panel)

    def routes(self) -> Sequence[BaseRoute]:
        own = [Middleware(LoopbackOnly)]
        person = [
            Route("/", self._chat, methods=["GET"]),
            Route("/transcript", self._transcript, methods=["GET"]),
            Route("/updates", self._updates, methods=["GET"]),
            Route("/messages", self._receive, methods=["POST"]),
            Route("/feedback", self._rate, methods=["POST"]),
            Route("/press", self._press, methods=["POST"]),
            Route("/files", self._upload, methods=["POST"]),
            Route("/stop", self._stop, methods=["POST"]),
            Route("/sign-in/{provider}", self._sign_in, methods=["GET"]),
        ]
        if self.presenter.panel is not None:
            person.append(Route("/steps", self._steps, methods=["GET"]))
        return [
            Route("/", self._index, methods=["GET"], middleware=own),
            Mount("/web/static", _Static(directory=STATIC), middleware=own),
            Mount("/web/{person}", routes=person, middleware=own),
        ]

    async def start(self, host: Host) -> None:
        await super().start(host)
        self.presenter.base_url = host.base_url

    async def stop(self) -> None:
        self.presenter.close()
        await super().stop()

    async def parse(self, payload: str) -> Message | None:
        return parse.to_message(payload, self._people, lambda: self.host)

    async def _index(self, _: Request) -> Response:
        links = "".join(
            f'<a class="person" href="/web/{escape(person)}/" target="_blank" rel="noopener">'
            f'<span class="avatar" aria-hidden="true">{escape(name[:1])}</span>{escape(name)}</a>'
            for person, name in self._people.items()
        )
        return _page("index.html", people=links)

    async def _chat(self, request: Request) -> Response:
        person = request.path_params["person"]
        if person not in self._people:
            raise HTTPException(404)
        name, about = self._people[person], self.host.description(parse.CHANNEL, parse.TENANT) or DESCRIPTION
        prompts = "".join(
            f'<button type="button" data-say="{escape(prompt)}">{escape(prompt)}</button>'
            for prompt in self.host.prompts(parse.CHANNEL, parse.TENANT)
        )
        texts = {key: escape(text) for key, text in {"name": name, "initial": name[:1], "description": about}.items()}
        panel = "" if self.presenter.panel is None else (STATIC / "panel.html").read_text()
        response = _page("chat.html", **texts, prompts=prompts, panel=panel)
        # The path keeps the people of one browser's windows apart.
        response.set_cookie(
            COOKIE, self._signer.sign(person).decode(), path=f"/web/{person}/", httponly=True, samesite="strict"
        )
        return response

    async def _transcript(self, request: Request) -> Response:
        person, host = self._person(request), self.host
        conversation = parse.conversation_of(person)
        # Read before the transcript, which then has a turn that ends in between. The window asks again while one runs.
        is_running = await host.is_busy(conversation)
        ratings = await host.ratings(parse.identity_of(person), conversation)
        entries = [self._entry(entry, ratings) for entry in await host.transcript(conversation)]
        return JSONResponse(entries, headers={**HEADERS, RUNNING: str(is_running).lower()})

    async def _updates(self, request: Request) -> Response:
        person, closing = self._person(request), anyio.Event()

        async def events() -> AsyncIterator[dict[str, Any]]:
            yield {"data": json.dumps({"type": "changed"}), "retry": RECONNECT}
            async for update in self.presenter.updates(person, closing):
                yield {"data": json.dumps(update)}

        return EventSourceResponse(
            events(), headers=HEADERS, shutdown_event=closing, shutdown_grace_period=FAREWELL_SECONDS
        )

    async def _steps(self, request: Request) -> Response:
        """Return the steps of the person's turns, for the panel."""
        panel = self.presenter.panel
        assert panel is not None
        return JSONResponse(panel.steps(self._person(request)), headers=HEADERS)

    async def _receive(self, request: Request) -> Response:
        person, host = self._person(request), self.host
        submission = await _read(request, parse.Submission)
        files = [await host.stored_files.load_own(each, parse.identity_of(person)) for each in submission.files]
        found = [file for file in files if file is not None]
        if len(found) < len(files) or not (submission.text.strip() or found):
            raise HTTPException(422)
        await host.accept(parse.to_event(person, submission, found))
        return Response(status_code=202)

    async def _rate(self, request: Request) -> Response:
        person, host = self._person(request), self.host
        given = await _read(request, parse.GivenRating)
        is_seen = await host.rate(parse.to_feedback(person, given))
        return Response(status_code=204 if is_seen else 404, headers=HEADERS)

    async def _press(self, request: Request) -> Response:
        """Handle the press of a question's button; return its outcome."""
        person, host = self._person(request), self.host
        pressed = await _read(request, parse.PressedButton)
        identity = parse.identity_of(person)
        result = await host.press(Press(pressed.question, pressed.choice, identity, self._people[person]))
        return JSONResponse({"outcome": result.outcome, "text": result.text}, headers=HEADERS)

    async def _stop(self, request: Request) -> Response:
        person = self._person(request)
        is_stopped = await self.host.stop(parse.conversation_of(person), person)
        return Response(status_code=204 if is_stopped else 404, headers=HEADERS)

    async def _upload(self, request: Request) -> Response:
        """Store a file, whose name is in the query, and return its id."""
        person, host = self._person(request), self.host
        name, media_type = request.query_params.get("name", ""), request.headers.get("content-type", "")
        file = await reserve(host.stored_files, name, media_type, parse.identity_of(person))
        file = await receive(request, file, host.most_upload_bytes)
        return JSONResponse({"id": file.id}, status_code=201, headers=HEADERS)

    async def _sign_in(self, request: Request) -> Response:
        person, host = self._person(request), self.host
        identity, provider = parse.identity_of(person), request.path_params["provider"]
        try:
            link = await host.sign_in_link(identity, self._people[person], provider)
        except SettingError:
            raise HTTPException(404) from None
        return RedirectResponse(link, status_code=303, headers=HEADERS)

    def _person(self, request: Request) -> str:
        """Return the person of a window, whom both its cookie and its address have to name.

        Raises:
            HTTPException: 401 if they do not.
        """
        try:
            person = self._signer.unsign(request.cookies.get(COOKIE, "")).decode()
        except BadSignature:
            raise HTTPException(401) from None
        if person != request.path_params["person"]:
            raise HTTPException(401)
        return person

    def _entry(self, entry: TranscriptEntry, ratings: Mapping[str, Rating]) -> dict[str, Any]:
        """Return an entry of the transcript as `static/log.js` reads it."""
        if entry.payload is not None:
            message = parse.to_message(entry.payload, self._people, lambda: self.host)
            names = [each.title for each in message.attachments]
            return {"id": entry.id, "message": message.id, "from": "person", "text": message.text, "files": names}
        label = self.host.provider_label(entry.provider) if entry.provider is not None else None
        files = [{"name": file.name, "type": file.media_type, "address": file.path} for file in entry.files]
        agent: dict[str, Any] = {
            "id": entry.id,
            "answers": entry.answers,
            "from": "agent",
            "html": entry.text,
            "files": files,
        }
        agent |= {"failed": entry.failed, "rated": entry.rated, "rating": ratings.get(entry.rated or "")}
        return {**agent, "signIn": entry.provider, "label": label, "question": _question(entry.question)}


def _page(file: str, **html: str) -> HTMLResponse:
    """Return a page of `static/`, in which each `{placeholder}` is replaced by HTML."""
    return HTMLResponse((STATIC / file).read_text().format(**html), headers=HEADERS)


async def _read(request: Request, kind: type[Posted]) -> Posted:
    """Return what the page posts.

    Raises:
        HTTPException: 422 if it does not have the fields of `kind`.
        MalformedEventError: if it is not a JSON object.
    """
    fields, _ = parse_json(await read_body(request))
    try:
        return kind.model_validate(fields)
    except ValidationError:
        raise HTTPException(422) from None


def _question(question: TranscriptQuestion | None) -> dict[str, Any] | None:
    """Return a question as `static/chat.js` reads it."""
    if question is None:
        return None
    choices = [{"label": label, "style": style} for label, style in question.choices]
    return {"id": question.id, "choices": choices, "decided": question.decided}
