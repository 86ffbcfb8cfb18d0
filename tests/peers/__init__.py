"""The third-party servers that the tests run against, on loopback. See README.md for what each one is."""
