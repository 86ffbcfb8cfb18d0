"""A missing package is an error that names the extra; every other failed import stays what it is."""

from pathlib import Path

import pytest

from oauth import SettingError
from oauth.extras import extra_needed, from_extra


def test_a_missing_package_is_named_with_the_extra_that_installs_it() -> None:
    sentence = r"The pigeon channel needs pigeonpost, which is not installed: pip install 'understudy\[pigeon\]'\."
    with pytest.raises(SettingError, match=sentence), extra_needed("pigeon", "The pigeon channel"):
        import pigeonpost.lofts  # type: ignore[import-not-found]  # noqa: F401


def test_a_missing_module_of_an_installed_package_names_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"json\.lofts"), extra_needed("pigeon", "The pigeon channel"):
        import json.lofts  # type: ignore[import-not-found]  # noqa: F401


def test_a_package_imports_its_names_when_they_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "fine_loft.py").write_text("Pigeon = 'a pigeon'")
    monkeypatch.syspath_prepend(tmp_path)
    get = from_extra("birds", "pigeon", "The pigeon channel", {"Pigeon": "fine_loft", "Lost": "pigeonpost"})
    assert get("Pigeon") == "a pigeon"
    with pytest.raises(SettingError, match="pigeonpost"):
        get("Lost")
    with pytest.raises(AttributeError, match="module 'birds' has no attribute 'Dove'"):
        get("Dove")
