"""Files that a model reads itself."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.attachments.media import is_for_models, media_type_of
from toolkits import Attachment

Takes = Callable[[str], bool]
"""Returns whether a model takes files of a media type as they are."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that the model reads itself: an image or a PDF."""

    data: bytes = field(repr=False)
    media_type: str
    name: str

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")


def model_file(data: bytes, attachment: Attachment, takes: Takes) -> ModelFile | None:
    """Return a file for the model; `None` if the model takes no files of its type."""
    media_type = media_type_of(data)
    if media_type is None or not is_for_models(media_type) or not takes(media_type):
        return None
    return ModelFile(data, media_type, attachment.name or str(attachment.kind))
