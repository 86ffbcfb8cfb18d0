"""Skip the tests that install packages, on a machine on which uv reaches no index."""

import pytest

UNREACHABLE = ("Failed to fetch", "Request failed", "error sending request", "not found in the package registry")


def skip_without_packages(printed: str) -> None:
    """Skip the test if uv printed that it could not get a package."""
    if any(each in printed for each in UNREACHABLE):
        pytest.skip(f"uv cannot get the packages: {printed[-300:]}")
