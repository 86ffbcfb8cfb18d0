"""Google Drive, through its REST API: https://developers.google.com/workspace/drive/api/reference/rest/v3"""

from typing import Any, Literal

from googleapiclient.http import MediaInMemoryUpload
from markdownify import markdownify
from typing_extensions import TypedDict  # pydantic accepts no other before Python 3.12

from toolkits import preview
from toolkits.context import TurnContext
from toolkits.errors import ToolError
from toolkits.function import tool
from toolkits.google.mail import addresses
from toolkits.google.service import SENT_TO_CHAT, GoogleToolkit, not_readable, shortened

READ = "https://www.googleapis.com/auth/drive.readonly"
CREATE = "https://www.googleapis.com/auth/drive.file"
SHARE = "https://www.googleapis.com/auth/drive"

MOST_FILES = 50  # in one answer
MOST_BYTES = 5_000_000  # of a file that is read
MOST_SENT_BYTES = 50 * 2**20  # of a file that is sent to the chat
MOST_CHARACTERS = 40_000  # of a file that is read
MOST_UPLOADED_CHARACTERS = 20_000  # the person reads all of them before they approve
FIELDS = "id, name, mimeType, modifiedTime, size, owners(emailAddress), webViewLink"

NO_FILE = "The user has no file with that id."
# https://developers.google.com/workspace/drive/api/guides/ref-export-formats
EXPORTS = {
    "application/vnd.google-apps.document": "text/markdown",
    "application/vnd.google-apps.spreadsheet": "text/csv",
    "application/vnd.google-apps.presentation": "text/plain",
    "application/vnd.google-apps.script": "application/vnd.google-apps.script+json",
}
GOOGLE_TYPE = "application/vnd.google-apps."
PDF = "application/pdf"
# The media type and ending of documents that are not sent as PDF.
SENT_AS = {
    "application/vnd.google-apps.spreadsheet": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".xlsx",
    ),
    "application/vnd.google-apps.script": ("application/vnd.google-apps.script+json", ".json"),
}
TEXTS = ("application/json", "application/xml", "application/x-yaml", "application/javascript")


class DriveFile(TypedDict, total=False):
    """A file, for the model."""

    id: str
    name: str
    type: str
    modified: str
    bytes: int
    owner: str
    link: str


TextType = Literal["text/plain", "text/markdown", "text/csv"]
Role = Literal["reader", "commenter", "writer"]
MAY = {"reader": "read", "commenter": "read and comment on", "writer": "change"}


class FilePage(TypedDict):
    """A page of the files that were found, and the token of the next page."""

    files: list[DriveFile]
    next_page: str | None


class Drive(GoogleToolkit):
    """The files of the person who asks. It has the arguments of `GoogleToolkit`."""

    api = "drive"
    version = "v3"
    read_scopes = frozenset({READ})
    write_scopes = frozenset({CREATE, SHARE})

    @tool(label="Searching your files", read_only=True)
    async def search_files(
        self, context: TurnContext, words: str = "", limit: int = 10, page: str | None = None
    ) -> FilePage:
        """Search the user's files. Without words, list the files that were changed last.

        Args:
            words: words in the names or texts of the files.
            limit: how many files to return, 50 at most.
            page: the next_page of an earlier answer, to get the next files. Repeat the same words.
        """
        escaped = words.replace("\\", "\\\\").replace("'", "\\'")
        query = f"trashed = false and (name contains '{escaped}' or fullText contains '{escaped}')"
        found = await self.execute(
            context,
            lambda drive: drive.files().list(
                q=query if words else "trashed = false",
                pageSize=min(max(limit, 1), MOST_FILES),
                pageToken=page,
                # Google sorts a search for words by relevance, and accepts no other order.
                orderBy=None if words else "modifiedTime desc",
                fields=f"nextPageToken, files({FIELDS})",
            ),
            scope=READ,
        )
        return {"files": [_file(item) for item in found.get("files", [])], "next_page": found.get("nextPageToken")}

    @tool(label="Reading a file", read_only=True)
    async def read_file(self, context: TurnContext, file_id: str) -> str:
        """Read one of the user's files as text: a document as markdown, the first sheet of a spreadsheet as CSV.

        Args:
            file_id: the file's id, from search_files.
        """
        found = await self._get(context, file_id)
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

    @tool(label="Fetching a file", read_only=True)
    async def send_file_to_chat(self, context: TurnContext, file_id: str) -> str:
        """Send one of the user's files to the user, in this chat: documents and presentations as PDF.

        Args:
            file_id: the file's id, from search_files.
        """
        found = await self._get(context, file_id)
        kind, name = found.get("mimeType", ""), found.get("name", "")
        if int(found.get("size", 0)) > MOST_SENT_BYTES:
            raise ToolError(f"{name} has {found['size']} bytes, but only {MOST_SENT_BYTES} can be sent.")
        if kind.startswith(GOOGLE_TYPE):
            kind, ending = SENT_AS.get(kind, (PDF, ".pdf"))
            name += ending

        def request(drive: Any) -> Any:
            files = drive.files()
            is_document = found.get("mimeType", "").startswith(GOOGLE_TYPE)
            return files.export(fileId=file_id, mimeType=kind) if is_document else files.get_media(fileId=file_id)

        content = await self.execute(context, request, scope=READ, missing=NO_FILE)
        data = content if isinstance(content, bytes) else str(content).encode()
        key = f"{context.reference}/drive/{file_id}"  # sent once, even if the turn is played again
        await context.send_file(data, name=name, media_type=kind, key=key)
        return SENT_TO_CHAT

    async def _preview_upload(
        self,
        context: TurnContext,
        name: str,
        text: str,
        mime_type: TextType = "text/plain",
        folder_id: str | None = None,
    ) -> str:
        await self.check_permission(context, CREATE)
        _check_length(text)
        place = ""
        if folder_id is not None:
            place = f" in the folder {preview.line((await self._get(context, folder_id)).get('name', ''))}"
        return f"Create the file {preview.line(name)} ({mime_type}){place}:\n\n{preview.block(text)}"

    @tool(label="Uploading a file", approval=_preview_upload)
    async def upload_file(
        self,
        context: TurnContext,
        name: str,
        text: str,
        mime_type: TextType = "text/plain",
        folder_id: str | None = None,
    ) -> DriveFile:
        """Create a text file in the user's Drive. Nobody else can see it until it is shared.

        Args:
            name: the file's name, with its extension.
            text: the content.
            mime_type: the kind of text.
            folder_id: the id of the folder to put it in. Default: the top folder.
        """
        _check_length(text)
        body = {"name": name, "mimeType": mime_type, **({"parents": [folder_id]} if folder_id is not None else {})}
        media = MediaInMemoryUpload(text.encode(), mimetype=mime_type)
        made = await self.execute(
            context,
            lambda drive: drive.files().create(body=body, media_body=media, fields=FIELDS),
            scope=CREATE,
            missing="The user has no folder with that id.",
            writes=True,
        )
        return _file(made)

    async def _preview_share(self, context: TurnContext, file_id: str, email: str, role: Role = "reader") -> str:
        await self.check_permission(context, SHARE)
        file, person = _file(await self._get(context, file_id)), _person(email)
        shown = f"{preview.line(file.get('name', ''))} ({preview.line(file.get('link', file_id))})"
        return (
            f"Share the file {shown} with {preview.line(person)}, who may then {MAY[role]} it, and tell them by e-mail."
        )

    @tool(label="Sharing a file", approval=_preview_share)
    async def share_file(self, context: TurnContext, file_id: str, email: str, role: Role = "reader") -> str:
        """Share one of the user's files with another person, who gets an e-mail.

        Args:
            file_id: the file's id, from search_files.
            email: the e-mail address of the person.
            role: what the person may do with the file.
        """
        permission = {"type": "user", "role": role, "emailAddress": _person(email)}
        await self.execute(
            context,
            lambda drive: drive.permissions().create(fileId=file_id, body=permission, sendNotificationEmail=True),
            scope=SHARE,
            missing=NO_FILE,
            writes=True,
        )
        return f"{permission['emailAddress']} may now {MAY[role]} it."

    async def _get(self, context: TurnContext, file_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.execute(
            context, lambda drive: drive.files().get(fileId=file_id, fields=FIELDS), scope=READ, missing=NO_FILE
        )
        return found


def _check_length(text: str) -> None:
    if len(text) > MOST_UPLOADED_CHARACTERS:
        raise ToolError(f"The text has {len(text)} characters, but only {MOST_UPLOADED_CHARACTERS} are allowed.")


def _person(email: str) -> str:
    people = addresses([email])
    if len(people) != 1:
        raise ToolError("Give one e-mail address.")
    return people[0].addr_spec


def _file(item: dict[str, Any]) -> DriveFile:
    owners = item.get("owners") or [{}]
    file: DriveFile = {
        "id": item["id"],
        "name": item.get("name", ""),
        "type": item.get("mimeType", ""),
        "modified": item.get("modifiedTime", ""),
        "bytes": int(item.get("size") or 0),
        "owner": owners[0].get("emailAddress", ""),
        "link": item.get("webViewLink", ""),
    }
    return {name: value for name, value in file.items() if value}  # type: ignore[return-value]
