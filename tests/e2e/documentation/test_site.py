"""The site of the documentation, which `make docs` builds, shows the files of the repository."""

import runpy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from e2e.served import ROOT
from mkdocs.exceptions import PluginError

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
