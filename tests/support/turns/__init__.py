"""Contexts of turns without a gateway, for the tests of toolkits."""
