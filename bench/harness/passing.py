"""A gateway that receives large files and prints by how many MiB its memory grew.

Run it as `python -m bench.harness.passing URL WAY COUNT SIZE`: COUNT messages arrive at once, each with a file of SIZE
bytes from URL. WAY is one of `WAYS`.
"""

import asyncio
import gc
import json
import re
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from bench.harness.channel import BenchChannel, SilentPresenter
from gateway import Agent, Conversation, Gateway, Message
from gateway.attachments.fetching import FileFetcher, RemoteFile
from gateway.channels.host import Host
from toolkits import Attachment, AttachmentKind

WAYS = {
    "picture": AttachmentKind.IMAGE,
    "recording": AttachmentKind.AUDIO,
    "unread": AttachmentKind.VIDEO,
    "saved": AttachmentKind.VIDEO,
}


class CountingPresenter(SilentPresenter):
    """A presenter that puts the answers into a queue."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[str] = asyncio.Queue()

    async def send_text(self, conversation: Conversation, text: str, reply_to: str, *, key: str) -> None:
        self.answers.put_nowait(text)


class FileChannel(BenchChannel):
    """A channel in which each message has a file."""

    def __init__(self, url: str, way: str) -> None:
        self.presenter = CountingPresenter()
        self._url = url
        self._way = way
        self._fetcher: FileFetcher | None = None

    async def start(self, host: Host) -> None:
        self._fetcher = host.files

    async def parse(self, payload: str) -> Message:
        number, size = json.loads(payload)["number"], json.loads(payload)["size"]
        attachment = Attachment(WAYS[self._way], name="file", size=size)
        file = RemoteFile(f"{self._url}/{self._way}/{size}", "Bench", (), attachment, self._url)
        message = await super().parse(payload)
        return replace(message, attachments=(replace(attachment, fetch=lambda: self._fetch(file)),), id=str(number))

    async def _fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        assert self._fetcher is not None
        async with aclosing(self._fetcher.fetch(file)) as chunks:
            async for chunk in chunks:
                yield chunk


def make_agent(url: str, way: str, directory: str) -> Agent:
    async def save(message: Message) -> str:
        await message.attachments[0].save(Path(directory) / message.id)
        return "saved"

    if way == "saved":
        return Agent(save)
    model = OpenAIChatModel("bench", provider=OpenAIProvider(base_url=f"{url}/v1", api_key="any"))
    return Agent(model=model, transcriber="whisper-1" if way == "recording" else None)


async def main(url: str, way: str, count: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        channel = FileChannel(url, way)
        gateway = Gateway(make_agent(url, way, directory), [channel], f"sqlite:///{directory}/bench.db")
        async with gateway.lifespan():

            async def ask(number: int, size: int) -> None:
                event = channel.event(number)
                await gateway.host.accept(replace(event, payload=json.dumps({"number": number, "size": size})))

            await ask(0, 1000)  # to warm up
            await channel.presenter.answers.get()
            before = reset_peak()
            await asyncio.gather(*(ask(number, size) for number in range(1, count + 1)))
            for _ in range(count):
                answer = await channel.presenter.answers.get()
                assert ("could not read" in answer) == (way == "unread"), answer
            print(memory("VmHWM") - before)


def reset_peak() -> float:
    """Reset the peak of the memory (proc_pid_clear_refs(5)), and return the current memory in MiB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> float:
    """Return a field of this process's status, such as VmRSS, in MiB: proc_pid_status(5)."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
