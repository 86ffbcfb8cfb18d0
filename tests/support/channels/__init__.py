"""Helpers for tests of channels: run one channel in a gateway, write to it, and read its answers."""
