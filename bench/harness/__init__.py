"""What the measurements use: the servers that are measured, the load on them, and their stand-ins."""
