"""Upload files to Slack: https://docs.slack.dev/messaging/working-with-files#upload"""

from aiohttp import ClientError, ClientSession, ClientTimeout
from slack_sdk.web.async_client import AsyncWebClient

from gateway.channels import DeliveryAmbiguousError, StoredFile
from interfaces.slack.errors import slack_errors

TIMEOUT = ClientTimeout(total=50, sock_connect=10)


async def upload(client: AsyncWebClient, file: StoredFile) -> str:
    """Upload a file, which nobody sees until it is shared; return its id.

    Raises:
        DeliveryError: if Slack refuses it, or asks for a pause.
        ConnectionError: if the upload fails for another reason. Nobody has seen the file then.
    """
    try:
        with slack_errors():
            begun = await client.files_getUploadURLExternal(filename=file.name, length=file.size)
            address, file_id = str(begun["upload_url"]), str(begun["file_id"])
    except DeliveryAmbiguousError as error:
        raise ConnectionError(f"Slack gave no address to upload to: {error}") from error
    headers = {"Content-Type": file.media_type, "Content-Length": str(file.size)}
    try:
        async with (
            ClientSession(timeout=TIMEOUT, trust_env=True) as session,
            session.post(address, data=file.chunks(), headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ConnectionError(f"Slack answered {answer.status} to an upload")
    except (ClientError, TimeoutError) as error:
        raise ConnectionError(f"an upload to Slack failed: {error!r}") from error
    return file_id
