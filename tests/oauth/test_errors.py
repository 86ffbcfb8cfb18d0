"""The exceptions of the packages."""

from importlib import import_module
from inspect import isclass
from pkgutil import walk_packages

import pytest

from oauth.errors import UnderstudyError


@pytest.mark.parametrize("package", ["gateway", "oauth", "toolkits", "interfaces"])
def test_exceptions_end_in_error_and_have_one_root(package: str) -> None:
    names = [each.name for each in walk_packages(import_module(package).__path__, f"{package}.")]
    found = {
        each
        for name in names
        if "migrations" not in name
        for each in vars(import_module(name)).values()
        if isclass(each) and issubclass(each, BaseException) and each.__module__ == name
    }
    assert found
    assert [each for each in found if not (issubclass(each, UnderstudyError) and each.__name__.endswith("Error"))] == []
