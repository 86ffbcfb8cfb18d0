"""Turns without a gateway, for the tests of toolkits."""
