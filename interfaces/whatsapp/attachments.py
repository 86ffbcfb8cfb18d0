"""Read the media of WhatsApp messages: https://www.twilio.com/docs/messaging/guides/webhook-request"""

import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

from gateway.attachments.fetching import FileFetcher, RemoteFile
from toolkits import Attachment, AttachmentKind, kind_of

PLATFORM = "Twilio"
# https://help.twilio.com/articles/223183748: a request for media is redirected to a CDN.
HOSTS = (".twilio.com", ".twiliocdn.com", "s3-external-1.amazonaws.com")
COUNT = re.compile("[0-9]{1,3}")
MOST_MEDIA = 10  # https://www.twilio.com/docs/messaging/guides/webhook-request#media-related-parameters

Form = Mapping[str, str]


class TwilioMedia:
    """Reads the media of messages, and fetches them with the account's credentials.

    Args:
        api_url: the address that is used in place of Twilio's, if any.
    """

    def __init__(self, account_sid: str, auth_token: str, api_url: str | None) -> None:
        self._authorization = f"Basic {b64encode(f'{account_sid}:{auth_token}'.encode()).decode()}"
        self._api_url = api_url
        self.fetcher: FileFetcher | None = None

    def attachments_of(self, form: Form) -> list[Attachment]:
        """Return the media and the location of a message."""
        found = [self._attachment(form, index) for index in range(media_count(form))]
        return found + ([_location(form)] if has_location(form) else [])

    def _attachment(self, form: Form, index: int) -> Attachment:
        attachment = Attachment(_kind(form, index), media_type=_media_type(form, index))
        headers = {"Authorization": self._authorization}
        file = RemoteFile(form.get(f"MediaUrl{index}", ""), PLATFORM, HOSTS, attachment, self._api_url, headers)
        return replace(attachment, fetch=lambda: self._fetch(file))

    def _fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        assert self.fetcher is not None, "the channel has not been started"
        return self.fetcher.fetch(file)


def media_count(form: Form) -> int:
    """Return the number of media of a message. `NumMedia` is untrusted, and may not be a number."""
    count = form.get("NumMedia", "0")
    return min(int(count), MOST_MEDIA) if COUNT.fullmatch(count) else 0


def has_location(form: Form) -> bool:
    """Return whether a message is a location."""
    return bool(form.get("Latitude") and form.get("Longitude"))


def _location(form: Form) -> Attachment:
    place = [form[name] for name in ("Label", "Address") if form.get(name)]
    text = ", ".join((*place, f"latitude {form['Latitude']}", f"longitude {form['Longitude']}"))
    return Attachment(AttachmentKind.LOCATION, text=text)


def _media_type(form: Form, index: int) -> str:
    return form.get(f"MediaContentType{index}", "")


def _kind(form: Form, index: int) -> AttachmentKind:
    media_type = _media_type(form, index).partition(";")[0].strip().lower()
    if media_type == "audio/ogg":  # the format of WhatsApp's recordings
        return AttachmentKind.VOICE
    if media_type in ("text/vcard", "text/x-vcard"):
        return AttachmentKind.CONTACT
    return kind_of(media_type)
