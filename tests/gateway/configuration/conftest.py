"""Fixtures of this room's tests."""

from support.gateway_files import write  # noqa: F401 - a fixture
