"""One consent for all that is needed, the rest when it is needed, and less if a person wants that."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from stage import FakeProvider, Stage, stage

from gateway import TurnContext
from oauth import Keyring
from toolkits import Toolkit, tool


class Files(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"read"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def read_file(self, context: TurnContext) -> str:
        """Reads."""
        return str(await context.credentials("fake", {"read"}))


class Pens(Toolkit):
    _clone_shared_attrs = ("auth",)
    scopes = frozenset({"write"})

    def __init__(self, auth: FakeProvider) -> None:
        self.auth = auth

    @tool
    async def write_file(self, context: TurnContext) -> str:
        """Writes."""
        return str(await context.credentials("fake", {"write"}))


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


async def link_after(scene: Stage, call: str) -> str:
    before = len(scene.sent)
    await scene.write("alice", f"call {call}")
    return (await scene.wait_for(before + 1))[before].link


def asked_for(link: str) -> set[str]:
    return set(parse_qs(urlsplit(link).query)["scope"][0].split())


async def test_one_consent_asks_for_what_all_toolkits_need(tmp_path: Path, provider: FakeProvider) -> None:
    provider.granted = frozenset({"read", "write"})
    scene = stage(tmp_path, [Files(provider), Pens(provider)])
    async with scene.open():
        link = await link_after(scene, "read_file")
        assert asked_for(link) == {"read", "write"}
        await scene.connect(link, "alice")
        await scene.wait_for(2)
        assert await scene.ask("alice", "call write_file") == "SECRET-alice"


async def test_who_grants_less_uses_the_rest_and_is_told_what_is_missing(
    tmp_path: Path, provider: FakeProvider
) -> None:
    scene = stage(tmp_path, [Files(provider), Pens(provider)])
    async with scene.open():
        await scene.connect(await link_after(scene, "write_file"), "alice")  # of which `write` is not granted
        refusal = (await scene.wait_for(2))[1].text
        assert all(words in refusal for words in ("without this permission: write things", "/disconnect fake"))
        assert await scene.ask("alice", "call read_file") == "SECRET-alice"
        both = await scene.ask("alice", "call read_file write_file")
        assert "SECRET-alice" in both
        assert "without this permission" in both
        assert "I may read things." in await scene.ask("alice", "", command="accounts")
        await scene.ask("alice", "", command="disconnect")
        assert asked_for(await link_after(scene, "write_file")) == {"read", "write"}


async def test_a_toolkit_that_is_added_later_asks_for_the_rest_alone(tmp_path: Path, provider: FakeProvider) -> None:
    key = Keyring.generate()
    first = stage(tmp_path, [Files(provider)], key=key)
    async with first.open():
        await first.connect(await link_after(first, "read_file"), "alice")
        await first.wait_for(2)
    second = stage(tmp_path, [Files(provider), Pens(provider)], key=key, written=10)
    async with second.open():
        assert await second.ask("alice", "call read_file") == "SECRET-alice"
        link = await link_after(second, "write_file")
        assert asked_for(link) == {"write"}
        provider.granted = frozenset({"write"})
        await second.connect(link, "alice")
        await second.wait_for(3)
        assert await second.ask("alice", "call read_file write_file") == "SECRET-alice | SECRET-alice"


async def test_a_provider_that_does_not_add_up_is_asked_for_everything_anew(
    tmp_path: Path, provider: FakeProvider
) -> None:
    provider.incremental = False
    key = Keyring.generate()
    first = stage(tmp_path, [Files(provider)], key=key)
    async with first.open():
        await first.connect(await link_after(first, "read_file"), "alice")
        await first.wait_for(2)
    second = stage(tmp_path, [Files(provider), Pens(provider)], key=key, written=10)
    async with second.open():
        assert asked_for(await link_after(second, "write_file")) == {"read", "write"}
