"""The channel on the page docs/channels.md is complete and keeps the contract of a channel."""

import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import Check

PAGE = (Path(__file__).parents[3] / "docs" / "channels.md").read_text()
PACKAGE = "understudy_pigeon"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files that the page shows."""
    folder = tmp_path_factory.mktemp("pigeon")
    (folder / PACKAGE).mkdir()
    (folder / "tests").mkdir()
    for path, code in re.findall(r"^```python\n# (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        (folder / path).write_text(code)
    (samples,) = re.findall(r"^````markdown\n(.*?)^````", PAGE, re.DOTALL | re.MULTILINE)
    (folder / PACKAGE / "sample_messages.md").write_text(samples)
    (folder / PACKAGE / "__init__.py").write_text(f"from {PACKAGE}.interface import Pigeon\n")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.mark.long
def test_the_channel_of_the_page_keeps_the_contract(example: Path) -> None:
    checks: list[Check] = runpy.run_path(str(example / "tests" / "test_contract.py"))["CHECKS"]
    assert len(checks) > 5
    for check in checks:
        check()


def test_the_entry_point_of_the_page_leads_to_its_class(example: Path) -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    found: dict[str, Any] = tomllib.loads(toml)["project"]["entry-points"]["understudy.interfaces"]
    ((name, target),) = found.items()
    module, _, attribute = target.partition(":")
    assert getattr(__import__(module), attribute).channel == name
