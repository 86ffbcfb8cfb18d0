"""Fixtures for the tests of YAML files."""

from support.gateway_files import write  # noqa: F401 - a fixture
