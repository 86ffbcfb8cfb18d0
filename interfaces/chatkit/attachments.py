"""Files that people upload in ChatKit: https://openai.github.io/chatkit-python/guides/accept-rich-user-input/"""

from chatkit.store import AttachmentStore, NotFoundError
from chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    AttachmentUploadDescriptor,
    FileAttachment,
    ImageAttachment,
)
from pydantic import AnyUrl

from gateway.channels import FileStore, StoredFile
from gateway.channels.uploads import reserve
from interfaces.chatkit.parse import UPLOADS
from interfaces.chatkit.state import RequestState


class Uploads(AttachmentStore[RequestState]):
    """Accepts uploads in ChatKit's two phases: the page names a file, and then sends it to a signed address.

    Args:
        files: the store for the files.
        address: the path of the channel, like `/chatkit`.
    """

    def __init__(self, files: FileStore, address: str) -> None:
        self._files = files
        self._address = address

    async def create_attachment(self, input: AttachmentCreateParams, context: RequestState) -> Attachment:  # noqa: A002
        file = await reserve(self._files, input.name, input.mime_type, context.person.identity)
        address = AnyUrl(f"{context.base_url}{self._address}{UPLOADS}/{file.token}")
        upload = AttachmentUploadDescriptor(url=address, method="PUT")
        return to_attachment(file, context).model_copy(update={"upload_descriptor": upload})

    async def delete_attachment(self, attachment_id: str, context: RequestState) -> None:
        await self._files.remove_own(attachment_id, context.person.identity)


def to_attachment(file: StoredFile, context: RequestState) -> Attachment:
    """Return the ChatKit attachment for a file. The preview address of an image works for an hour."""
    if file.media_type.startswith("image/"):
        preview = AnyUrl(context.base_url + file.path)
        return ImageAttachment(id=file.id, name=file.name, mime_type=file.media_type, preview_url=preview)
    return FileAttachment(id=file.id, name=file.name, mime_type=file.media_type)


async def load_uploaded(files: FileStore, attachment_id: str, context: RequestState) -> StoredFile:
    """Return a file that a person has uploaded.

    Raises:
        NotFoundError: if this person has uploaded no such file.
    """
    file = await files.load_own(attachment_id, context.person.identity)
    if file is None:
        raise NotFoundError(f"there is no attachment {attachment_id!r}")
    return file
