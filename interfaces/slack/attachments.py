"""Read the files of Slack's messages: https://docs.slack.dev/reference/objects/file-object"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.attachments.fetching import FileFetcher, RemoteFile, UnavailableError
from gateway.channels import DeliveryError, DeliveryRefusedError, RetryLaterError
from interfaces.slack.errors import slack_errors
from interfaces.slack.workspaces import ManyWorkspaces, OneWorkspace
from toolkits import Attachment, AttachmentError, AttachmentKind, kind_of

PLATFORM = "Slack"
HOSTS = (".slack.com", ".slack-edge.com", ".slack-files.com")
# Modes of files that were deleted, or are too old for the workspace's plan.
NOT_THERE = ("tombstone", "hidden_by_limit")

File = Mapping[str, Any]


class SlackFiles:
    """Reads the files of messages, and fetches them as the bot of their workspace, with the scope `files:read`.

    Args:
        api_url: the address of the Web API.
    """

    def __init__(self, workspaces: OneWorkspace | ManyWorkspaces, api_url: str) -> None:
        self._workspaces = workspaces
        self._api_url = api_url
        self.fetcher: FileFetcher | None = None

    def attachments_of(self, files: Sequence[File], tenant: str) -> list[Attachment]:
        """Return the files of a message that a workspace received."""
        return [self._attachment(file, tenant) for file in files]

    def _attachment(self, file: File, tenant: str) -> Attachment:
        attachment = described(file)
        if file.get("is_external"):  # Slack has only a link to it
            return replace(attachment, text=file.get("url_private") or file.get("permalink") or "")
        return replace(attachment, fetch=lambda: self._fetch(attachment, file, tenant))

    async def _fetch(self, attachment: Attachment, file: File, tenant: str) -> AsyncGenerator[bytes, None]:
        assert self.fetcher is not None, "the channel has not been started"
        if file.get("mode") in NOT_THERE:
            raise AttachmentError(f"The {attachment.title} is no longer at Slack.")
        self.fetcher.check_size(attachment)
        url, token = await self.fetcher.retry(partial(self._find, attachment, file, tenant))
        headers = {"Authorization": f"Bearer {token}"}
        remote = RemoteFile(url, PLATFORM, HOSTS, attachment, self._api_url, headers)
        async with aclosing(self.fetcher.fetch(remote)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _find(self, attachment: Attachment, file: File, tenant: str) -> tuple[str, str | None]:
        """Return the address of a file, and the token of the bot."""
        try:
            with slack_errors():
                client = await self._workspaces.client(tenant)
                if not _url(file):  # in a channel that another organization shares, an event has only the id
                    file = (await client.files_info(file=str(file.get("id")))).get("file") or {}
        except (DeliveryError, ConnectionError) as error:
            sentence = f"Slack does not give out the {attachment.title}: {error}."
            if isinstance(error, DeliveryRefusedError):
                raise AttachmentError(sentence) from error
            raise UnavailableError(sentence, error.seconds if isinstance(error, RetryLaterError) else 0.0) from error
        return _url(file), client.token


def described(file: File) -> Attachment:
    """Return a file as Slack describes it, without its content."""
    media_type = file.get("mimetype") or ""
    is_recorded = file.get("subtype") == "slack_audio"
    return Attachment(
        AttachmentKind.VOICE if is_recorded else kind_of(media_type),
        name=file.get("name") or file.get("title") or "",
        media_type=media_type,
        size=file.get("size"),
    )


def _url(file: File) -> str:
    return str(file.get("url_private_download") or file.get("url_private") or "")
