"""Split a message into the parts that are sent: its text, rendered for the platform, and its files."""

from collections.abc import Sequence

from gateway.channels.errors import DeliveryRefusedError
from gateway.channels.presenter import Presenter
from gateway.outbox.outbox import FilePart, Part
from gateway.outbox.rendering import rendered
from gateway.storage.files import FileStore, FileTooLargeError, StoredFile
from oauth import Identity
from toolkits import File, Template, ToolError


async def stored(
    store: FileStore, presenter: Presenter, files: Sequence[File], owner: Identity | None
) -> list[StoredFile]:
    """Store files that are to be sent. If one of them cannot be stored or sent, none stays stored.

    Args:
        presenter: the presenter of the channel that is to send them.
        owner: the recipient, if the files are private.

    Raises:
        ToolError: if a file is empty or too large, or the channel does not take it.
        OSError: if a file cannot be read.
    """
    kept = list[StoredFile]()
    try:
        for file in files:
            kept.append(one := await store.add(file.chunks(), file.name, file.media_type, owner))
            _check(presenter, one)
    except BaseException as error:
        await store.remove(kept)
        if isinstance(error, (FileTooLargeError, DeliveryRefusedError)):
            raise ToolError(f"The file {file.name!r} cannot be sent. {error}") from error
        raise
    return kept


def checked(presenter: Presenter, template: Template) -> Template:
    """Return a template that the channel takes.

    Raises:
        ToolError: if the channel does not take it, or has no templates.
    """
    try:
        presenter.check_template(template)
    except DeliveryRefusedError as error:
        raise ToolError(f"The template {template.content_sid} cannot be sent. {error}") from error
    return template


async def composed(presenter: Presenter, markdown: str, files: Sequence[StoredFile] = ()) -> list[Part]:
    """Return the parts of a message: first the text, then the files. A short text becomes a caption of the first files.

    A text without visible characters has no parts.
    """
    texts = await rendered(presenter, markdown) if markdown else []
    if not files:
        return list(texts)
    groups = presenter.grouped(files)
    fits = len(texts) == 1 and len(texts[0]) <= presenter.longest_caption(groups[0])
    caption = texts.pop() if fits else ""
    return [*texts, FilePart(groups[0], caption), *map(FilePart, groups[1:])]


def _check(presenter: Presenter, file: StoredFile) -> None:
    if not file.size:
        raise DeliveryRefusedError("It is empty.")
    presenter.check_file(file)
