"""Run one channel in a gateway, for the tests of channels."""
