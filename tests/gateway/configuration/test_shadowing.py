"""Folders and files of an operator that have the name of one of Understudy's packages."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gateway.configuration.loader import load_gateway
from gateway.configuration.shadowing import PACKAGES
from oauth import SettingError

FORMS = {
    "a package": ("{0}/__init__.py", "{0}/mine.py"),
    "a folder": ("{0}/mine.py",),
    "a module": ("{0}.py",),
}
GATEWAY = "from gateway import Agent, Gateway\ngateway = Gateway(Agent(model='test'))\n"


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Import `interfaces` anew, as a command does, and restore the modules after the test."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", f"sqlite:///{tmp_path}/understudy.db")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:x")
    monkeypatch.setenv("TELEGRAM_WEBHOOK_SECRET", "secret")
    kept = forget_interfaces()
    yield
    forget_interfaces()
    sys.modules.update(kept)


def forget_interfaces() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "interfaces"]
    return {name: sys.modules.pop(name) for name in names}


def make(folder: Path, package: str, form: str) -> None:
    for name in FORMS[form]:
        path = folder / name.format(package)
        path.parent.mkdir(exist_ok=True)
        path.write_text("MINE = 1\n")


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("form", FORMS)
def test_an_operators_folder_or_file_that_nothing_imports_stops_nothing(
    package: str, form: str, tmp_path: Path
) -> None:
    make(tmp_path, package, form)
    (tmp_path / "bot.py").write_text(GATEWAY)
    assert load_gateway(str(tmp_path / "bot.py"))


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("form", ["a folder", "a module"])
def test_a_package_that_hides_what_a_file_imports_is_named(package: str, form: str, tmp_path: Path) -> None:
    make(tmp_path, package, form)
    line = f"from {package} import MINE\n" if form == "a module" else f"import {package}.mine\n"
    (tmp_path / "bot.py").write_text(GATEWAY + line)
    if (package, form) == ("interfaces", "a module"):  # the operator's module hides ours, and is imported
        assert load_gateway(str(tmp_path / "bot.py"))
        return
    with pytest.raises(SettingError) as raised:
        load_gateway(str(tmp_path / "bot.py"))
    theirs, missing = (f"{package}.py", "MINE") if form == "a module" else (package, "mine")
    assert str(raised.value) == (
        f"{tmp_path}/bot.py:3: {package!r} is Understudy's package here, which has no {missing!r} and hides your "
        f"{tmp_path}/{theirs}: rename yours, for example to my_{theirs}, and import it under that name."
    )


def test_an_attribute_that_only_the_hidden_module_has_is_explained(tmp_path: Path) -> None:
    make(tmp_path, "toolkits", "a module")
    (tmp_path / "bot.py").write_text(f"{GATEWAY}import toolkits\ntoolkits.MINE\n")
    with pytest.raises(SettingError, match=r"bot\.py:4: 'toolkits' is Understudy's package here, which has no 'MINE'"):
        load_gateway(str(tmp_path / "bot.py"))


FILES = {
    "a gateway": ("bot.py", f"from interfaces.telegram import Telegram\n{GATEWAY}", "bot.py:1: "),
    "an agent": ("bot.py", "from gateway import Agent\nagent = Agent(model='test')\n", ""),
    "a YAML file": ("bot.yaml", "agents: {a: {model: test}}\ninterfaces: {telegram: {}}\n", "bot.yaml:2:24: "),
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("form", ["a package", "a module"])
def test_an_operators_module_that_hides_a_package_is_named_where_the_package_is_needed(
    file: str, form: str, tmp_path: Path
) -> None:
    make(tmp_path, "interfaces", form)
    name, text, where = FILES[file]
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingError) as raised:
        load_gateway(str(tmp_path / name))
    theirs = "interfaces" if form == "a package" else "interfaces.py"
    assert str(raised.value) == (
        (f"{tmp_path}/{where}" if where else "")
        + f"{tmp_path}/{theirs} hides Understudy's package 'interfaces', which is needed here: "
        f"rename yours, for example to my_{theirs}."
    )


def test_a_toolkit_that_a_yaml_file_names_may_be_hidden(tmp_path: Path) -> None:
    make(tmp_path, "toolkits", "a folder")
    (tmp_path / "bot.yaml").write_text("agents: {a: {model: test, toolkits: ['toolkits.mine:Notes']}}\n")
    with pytest.raises(SettingError, match=r"bot\.yaml:1:38: 'toolkits' is Understudy's package here"):
        load_gateway(str(tmp_path / "bot.yaml"))


@pytest.mark.parametrize("name", ["bot", "gateway"])
def test_a_mistyped_import_is_not_explained_by_a_folder_that_has_no_such_thing(name: str, tmp_path: Path) -> None:
    make(tmp_path, "toolkits", "a package")
    (tmp_path / f"{name}.py").write_text("from gateway import Agnet\nfrom toolkits.gogle import Gmail\n")
    with pytest.raises(SettingError, match=r"\.py:1: ImportError: cannot import name 'Agnet'"):
        load_gateway(str(tmp_path / f"{name}.py"))
    (tmp_path / f"{name}.py").write_text("from toolkits.gogle import Gmail\n")
    with pytest.raises(SettingError, match=r"\.py:1: ModuleNotFoundError: No module named 'toolkits\.gogle'"):
        load_gateway(str(tmp_path / f"{name}.py"))
