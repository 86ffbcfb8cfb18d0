"""The examples of docs/testing.md work, and the kit needs no test framework."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import contract
from toolkits import File

PAGE = (Path(contract.__file__).parents[2] / "docs" / "testing.md").read_text()


async def test_the_example_of_a_toolkit_passes(tmp_path: Path) -> None:
    example: dict[str, Any] = {"__name__": "example"}
    exec(re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0], example)
    await example["test_each_person_reads_their_own_notes"](tmp_path)


def test_the_page_names_every_check() -> None:
    checks = contract.channel_contract(
        lambda url: None,  # type: ignore[arg-type,return-value]
        [],
        sign=lambda sample: {},
        platform=contract.Platform(limit=None, answer=lambda call: contract.Answer(), files=[File(b"a cat")]),
    )
    assert {check.name for check in checks} == set(re.findall(r"^\| ([a-z][^|]+?) \| .* \|$", PAGE, re.MULTILINE)) - {
        "check"
    }


@pytest.mark.processes
def test_the_kit_is_imported_without_a_test_framework() -> None:
    code = "import sys, gateway.testing; assert not {'pytest', 'peers', 'stage'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
