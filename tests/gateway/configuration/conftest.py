"""Fixtures of this room's tests."""

from gateway_files import write  # noqa: F401 - a fixture
