"""Fixtures for the tests of the `understudy` command."""

from support.gateway_files import write  # noqa: F401 - a fixture
