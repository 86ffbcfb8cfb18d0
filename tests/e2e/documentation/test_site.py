"""The site of the documentation, which `make docs` builds, shows the files of the repository."""

import re
import runpy
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
import typer
from e2e.served import ROOT
from mkdocs.exceptions import PluginError
from starlette.routing import Route

import gateway
import toolkits
from gateway import Agent, Gateway
from gateway.cli.main import app
from interfaces.chatkit import ChatKit
from interfaces.slack import Slack
from interfaces.telegram import Telegram
from interfaces.whatsapp import WhatsApp
from oauth import Keyring
from oauth.google import GoogleAuth
from oauth.settings import placeholders
from toolkits.google import Gmail

HOOKS: dict[str, Callable[..., Any]] = runpy.run_path(str(ROOT / "website" / "hooks.py"))


def page(path: str) -> SimpleNamespace:
    return SimpleNamespace(file=SimpleNamespace(src_uri=path))


def shown(path: str, markdown: str) -> str:
    text: str = HOOKS["on_page_markdown"](markdown, page(path), None, None)
    return text


def test_links_lead_to_the_pages_of_the_site() -> None:
    assert shown("index.md", "[a](docs/isolation.md#x), [b](SECURITY.md)") == "[a](isolation.md#x), [b](SECURITY.md)"
    assert shown("flows.md", "[a](../README.md), [b](#here)") == "[a](index.md), [b](#here)"
    assert shown("flows.md", "[a](../cookbook/yaml/notes.py)") == "[a](cookbook/yaml/notes.py.md)"
    assert shown("cookbook/yaml/README.md", "[a](../../docs/flows.md)") == "[a](../../flows.md)"
    assert shown("flows.md", "[a](https://example.com), [b](gone.md)") == "[a](https://example.com), [b](gone.md)"


def test_items_after_a_paragraph_of_an_item_stay_items() -> None:
    assert shown("flows.md", "1. one\n\n   more\n2. two\n3. three") == "1. one\n\n   more\n\n2. two\n3. three"
    code = "1. one\n\n   ```sh\n   a\n- b\n   ```"
    assert shown("flows.md", code) == code


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.com/a.js"></script>',
        '<img alt="" src="//example.com/a.png">',
        '<link rel="stylesheet" href="https://fonts.example.com/css">',
    ],
)
def test_a_page_that_loads_something_from_another_host_is_refused(html: str) -> None:
    with pytest.raises(PluginError, match="loads something from another host"):
        HOOKS["on_post_page"](html, page("flows.md"), None)


def test_a_page_may_link_to_other_hosts_and_load_files_of_its_own() -> None:
    html = '<script src="../assets/a.js"></script><a href="https://example.com">there</a>'
    assert HOOKS["on_post_page"](html, page("flows.md"), None) == html


def test_the_page_of_commands_has_every_command() -> None:
    text = shown("commands.md", "# Commands")
    for name, command in typer.main.get_group(app).commands.items():
        for each in getattr(command, "commands", {"": None}):
            assert f"`understudy {name} {each}".strip() + "`\n" in text


@pytest.mark.long
def test_the_page_of_http_routes_has_every_route(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLACK_CLIENT_ID": "id", "SLACK_CLIENT_SECRET": "x", "SLACK_SIGNING_SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    with placeholders():
        channels = [Slack(), Telegram(), WhatsApp(), ChatKit(authenticate=AsyncMock())]
        agent = Agent(model="test", toolkits=[Gmail(auth=GoogleAuth())])
        served = Gateway(agent, channels, base_url="https://bot.example.com", secret_key=Keyring.generate())
    page = (ROOT / "docs" / "http.md").read_text()
    routes = [route for route in served.asgi().routes if isinstance(route, Route)]
    assert len(routes) > 10
    for route in routes:
        method = next(iter((route.methods or set()) - {"HEAD", "OPTIONS"}))
        assert f"`{method} {route.path}`" in page


@pytest.mark.parametrize("package", [gateway, toolkits])
def test_the_page_of_the_api_has_every_public_name(package: ModuleType) -> None:
    documented = set(re.findall(r"^::: .*\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE))
    named = {name for name in package.__all__ if getattr(getattr(package, name), "__name__", name) == name}
    assert named - documented == set()
