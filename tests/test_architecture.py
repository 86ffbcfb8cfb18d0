"""The packages are as docs/architecture.md describes them, and files and folders stay small."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

from gateway.cli.main import app

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "oauth", "toolkits", "interfaces")
FOLDERS = (*PACKAGES, "tests", "bench", "cookbook", "website")
MAX_MODULES = 14  # in a folder, including `__init__.py`
MAX_LINES = 600  # in a file

# Its tests are those of every engine, in the folder above.
TESTED_ABOVE = {"gateway/engines/pydantic_ai"}

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PICTURE = ElementTree.parse(ROOT / "docs" / "architecture.svg")


def sub_packages(package: str) -> list[str]:
    return sorted(path.parent.name for path in (ROOT / package).glob("*/__init__.py"))


def python_files(folder: str) -> Iterator[Path]:
    return (path for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts)


def texts() -> Iterator[tuple[float, str]]:
    """Yield the texts of the picture, each with its distance from the top."""
    for element in PICTURE.iter("{http://www.w3.org/2000/svg}text"):
        yield float(element.attrib["y"]), " ".join(element.itertext())


def test_every_path_on_the_page_exists() -> None:
    paths = set(re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./]*|\w+\.(?:py|toml))`", PAGE))
    assert len(paths) > 100
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("package", ["gateway", "oauth"])
def test_every_sub_package_is_on_the_page_and_in_the_picture(package: str) -> None:
    words = {word for _, text in texts() for word in re.findall(r"\w+", text)}
    names = sub_packages(package)
    assert names
    assert [name for name in names if f"`{package}/{name}/`" not in PAGE] == []
    assert [name for name in names if name not in words] == []


@pytest.mark.parametrize("package", ["toolkits", "interfaces"])
def test_every_folder_of_toolkits_and_channels_is_on_the_page(package: str) -> None:
    assert [name for name in sub_packages(package) if f"`{package}/{name}/" not in PAGE] == []


def test_the_picture_has_the_same_layers_as_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["gateway"]]
    names = set(sub_packages("gateway"))
    checked = [packages for layer in layers if (packages := set(layer.split(" | ")) & names)]
    shown: dict[float, set[str]] = {}
    for height, text in texts():
        if (name := text.split()[0]) in names:
            shown.setdefault(height, set()).add(name)
    assert [shown[height] for height in sorted(shown)] == checked


def test_every_command_is_on_the_page() -> None:
    names = list(typer.main.get_group(app).commands)
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"`(understudy )?{name}`", PAGE)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_has_more_than_fourteen_modules(folder: str) -> None:
    modules = Counter(path.parent for path in python_files(folder))
    del modules[ROOT / "gateway" / "storage" / "migrations" / "versions"]
    assert {str(path): count for path, count in modules.items() if count > MAX_MODULES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_has_more_than_six_hundred_lines(folder: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files(folder)}
    assert lengths
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_no_file_at_the_top_has_more_than_six_hundred_lines() -> None:
    assert [path.name for path in ROOT.glob("*.py") if len(path.read_text().splitlines()) > MAX_LINES] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tests_mirror_the_packages(package: str) -> None:
    rooms = {str(path.parent.relative_to(ROOT)) for path in (ROOT / package).rglob("__init__.py")}
    tested = {str(path.parent.relative_to(ROOT / "tests")) for path in (ROOT / "tests" / package).rglob("test_*.py")}
    assert tested - rooms == set()
    assert rooms - tested - TESTED_ABOVE == set()
