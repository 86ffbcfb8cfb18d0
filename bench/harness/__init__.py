"""The servers that are measured, the load on them, and the stand-in for the platforms."""
