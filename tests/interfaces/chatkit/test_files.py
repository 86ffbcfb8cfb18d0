"""Files that people upload in ChatKit, in two phases, and files that they receive."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic_ai.messages import BinaryContent, ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from support.channels.chatkit import ChatKitPage, serving, written
from support.files import PDF, PNG
from support.stage import obey

from gateway import Agent, TurnContext
from toolkits import Toolkit, tool


def sees(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer with the number of bytes of each file that reached the model."""
    contents = messages[-1].parts[0].content  # type: ignore[union-attr]
    parts = [] if isinstance(contents, str) else contents
    return ModelResponse([TextPart(str([len(each.data) for each in parts if isinstance(each, BinaryContent)]))])  # type: ignore[union-attr]


def upload(page: ChatKitPage, name: str, media_type: str, content: bytes) -> str:
    created = page.request("attachments.create", name=name, size=len(content), mime_type=media_type).json()
    descriptor = created["upload_descriptor"]
    path = urlsplit(descriptor["url"]).path
    answer = httpx.request(descriptor["method"], str(page.client.base_url.join(path)), content=content)
    assert answer.status_code == 204
    return str(created["id"])


def sent_with(page: ChatKitPage, attachment_id: str) -> str:
    """Begin a thread with an attachment, and return the error that follows."""
    events = list(page.events("threads.create", input=written("look", attachments=[attachment_id])))
    return str(events[-1].message)


def test_the_model_gets_the_bytes_that_were_uploaded(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(sees)), tmp_path) as page_of:
        alice = page_of("alice")
        files = [upload(alice, "cat.png", "image/png", PNG), upload(alice, "a.pdf", "application/pdf", PDF)]
        first, *_ = list(alice.events("threads.create", input=written("look", attachments=files)))
        thread = first.thread.id
        assert alice.said(thread)[-1] == ("assistant", str([len(PNG), len(PDF)]))
        (message,) = (item for item in alice.items(thread).data if item.type == "user_message")
        assert [(each.type, each.name) for each in message.attachments] == [("image", "cat.png"), ("file", "a.pdf")]
        preview = urlsplit(str(message.attachments[0].preview_url)).path
        assert alice.client.get(preview).content == PNG


def test_an_upload_is_accepted_once_and_only_at_its_own_address(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(sees)), tmp_path) as page_of:
        alice, bob = page_of("alice"), page_of("bob")
        created = alice.request("attachments.create", name="cat.png", size=1, mime_type="image/png").json()
        path = urlsplit(created["upload_descriptor"]["url"]).path
        assert httpx.put(str(alice.client.base_url.join(f"{path}x")), content=PNG).status_code == 404
        assert httpx.put(str(alice.client.base_url.join(path)), content=PNG).status_code == 204
        assert httpx.put(str(alice.client.base_url.join(path)), content=PDF).status_code == 404
        assert "there is no attachment" in sent_with(bob, created["id"])
        origin = {"origin": "https://cdn.platform.openai.com", "access-control-request-method": "PUT"}
        allowed = httpx.options(str(alice.client.base_url.join(path)), headers=origin)
        assert allowed.headers["access-control-allow-origin"] == "*"
        alice.request("attachments.delete", attachment_id=created["id"])
        assert "there is no attachment" in sent_with(alice, created["id"])


class Painter(Toolkit):
    @tool
    async def paint(self, context: TurnContext) -> str:
        """Send a picture."""
        await context.send_file(PNG, name="my [cat].png", caption="A cat")
        return "painted"


def test_a_file_that_the_agent_sends_is_a_link_in_the_thread(tmp_path: Path) -> None:
    with serving(Agent(model=FunctionModel(obey), toolkits=[Painter()]), tmp_path) as page_of:
        alice = page_of("alice")
        thread, _ = alice.begin("call paint")
        said = [text for who, text in alice.said(thread) if who == "assistant"]
        found = re.fullmatch(r"A cat\n\n\[my \\\[cat\\\]\\\.png\]\((.+)\)", said[0])
        assert found is not None
        assert alice.client.get(urlsplit(found[1]).path).content == PNG
        assert said[1] == "painted"
