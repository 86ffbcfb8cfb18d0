"""The command line: `understudy …`."""
