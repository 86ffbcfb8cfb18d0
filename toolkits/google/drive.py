"""Google Drive, by its REST API: https://developers.google.com/workspace/drive/api/reference/rest/v3"""

from typing import Any

from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from toolkits.context import TurnContext
from toolkits.function import tool
from toolkits.google.service import GoogleToolkit, not_readable, shortened

READ = "https://www.googleapis.com/auth/drive.readonly"

MOST_FILES = 50  # in one answer
MOST_BYTES = 5_000_000  # of a file that is read
MOST_CHARACTERS = 40_000
FIELDS = "id, name, mimeType, modifiedTime, size, owners(emailAddress), webViewLink"

NO_FILE = "The user has no file with that id."
# https://developers.google.com/workspace/drive/api/guides/ref-export-formats
EXPORTS = {
    "application/vnd.google-apps.document": "text/markdown",
    "application/vnd.google-apps.spreadsheet": "text/csv",
    "application/vnd.google-apps.presentation": "text/plain",
    "application/vnd.google-apps.script": "application/vnd.google-apps.script+json",
}
TEXTS = ("application/json", "application/xml", "application/x-yaml", "application/javascript")


class File(TypedDict, total=False):
    id: str
    name: str
    type: str
    modified: str
    bytes: int
    owner: str
    link: str


class FilePage(TypedDict):
    files: list[File]
    next_page: str | None


class Drive(GoogleToolkit):
    """Reads the files of the person who asks.

    Args:
        auth: how people connect their Google account; one with the client of the environment unless given.
    """

    api = "drive"
    version = "v3"
    scopes = frozenset({READ})

    @tool(read_only=True)
    async def search_files(
        self, context: TurnContext, words: str = "", limit: int = 10, page: str | None = None
    ) -> FilePage:
        """Search the user's files, the latest first.

        Args:
            words: what is in their names or texts; empty for the latest files.
            limit: how many files to return, 50 at most.
            page: the next_page of an earlier answer, to go on from there, with the same words.
        """
        escaped = words.replace("\\", "\\\\").replace("'", "\\'")
        query = f"trashed = false and (name contains '{escaped}' or fullText contains '{escaped}')"
        found = await self.execute(
            context,
            lambda drive: drive.files().list(
                q=query if words else "trashed = false",
                pageSize=min(max(limit, 1), MOST_FILES),
                pageToken=page,
                # Google sorts by relevance, and by nothing else, where a text is searched for.
                orderBy=None if words else "modifiedTime desc",
                fields=f"nextPageToken, files({FIELDS})",
            ),
            scope=READ,
        )
        return {"files": [_file(item) for item in found.get("files", [])], "next_page": found.get("nextPageToken")}

    @tool(read_only=True)
    async def read_file(self, context: TurnContext, file_id: str) -> str:
        """Read a file of the user's as text: a document as markdown, a spreadsheet's first sheet as CSV.

        Args:
            file_id: the id that search_files gave.
        """
        found = await self.execute(
            context, lambda drive: drive.files().get(fileId=file_id, fields=FIELDS), scope=READ, missing=NO_FILE
        )
        kind = found.get("mimeType", "")
        if kind in EXPORTS:
            content = await self.execute(
                context,
                lambda drive: drive.files().export(fileId=file_id, mimeType=EXPORTS[kind]),
                scope=READ,
                missing=NO_FILE,
            )
        elif not (kind.startswith("text/") or kind in TEXTS) or int(found.get("size", 0)) > MOST_BYTES:
            raise not_readable(found.get("name", ""), kind, int(found.get("size", 0)))
        else:
            content = await self.execute(
                context, lambda drive: drive.files().get_media(fileId=file_id), scope=READ, missing=NO_FILE
            )
        text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else str(content)
        return shortened(markdownify(text) if kind == "text/html" else text, MOST_CHARACTERS)


def _file(item: dict[str, Any]) -> File:
    owners = item.get("owners") or [{}]
    file: File = {
        "id": item["id"],
        "name": item.get("name", ""),
        "type": item.get("mimeType", ""),
        "modified": item.get("modifiedTime", ""),
        "bytes": int(item.get("size") or 0),
        "owner": owners[0].get("emailAddress", ""),
        "link": item.get("webViewLink", ""),
    }
    return {name: value for name, value in file.items() if value}  # type: ignore[return-value]
