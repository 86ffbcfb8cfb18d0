"""An endpoint for transcriptions that behaves as OpenAI documents.

https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from dataclasses import dataclass
from typing import Self

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from peers.serving import ThreadServer

ENDINGS = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
MOST_BYTES = 25 * 2**20


@dataclass(frozen=True)
class Recording:
    """A recording that the server was asked to transcribe."""

    name: str
    data: bytes
    model: str
    authorization: str


class TranscriptionServer(ThreadServer):
    """A server that answers one request with each status in `failures`, and all later requests with `text`.

    Attributes:
        recordings: all recordings that it got, including those of refused requests.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.failures: list[int] = []
        self.recordings: list[Recording] = []
        super().__init__(Starlette(routes=[Route("/v1/audio/transcriptions", self._transcribe, methods=["POST"])]))

    @property
    def base_url(self) -> str:
        """The value of OPENAI_BASE_URL."""
        return f"{self.url}/v1"

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    async def _transcribe(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return _error(415, "Unsupported content type. This API method only accepts 'multipart/form-data' requests.")
        async with request.form() as form:
            file, model = form.get("file"), form.get("model")
            if not isinstance(file, UploadFile) or not isinstance(model, str):
                return _error(400, "You must provide a file and a model.")
            name, data = file.filename or "", await file.read()
        self.recordings.append(Recording(name, data, model, request.headers.get("authorization", "")))
        if self.failures:
            return _error(self.failures.pop(0), "scripted failure", {"Retry-After": "0.01"})
        if len(data) > MOST_BYTES:
            return _error(413, f"Maximum content size limit ({MOST_BYTES}) exceeded ({len(data)} bytes read)")
        if name.rpartition(".")[2] not in ENDINGS:
            return _error(400, f"Unsupported file format {name.rpartition('.')[2]}")
        return JSONResponse({"text": self.text})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": "file", "code": None}}
    return JSONResponse(body, status, headers)
