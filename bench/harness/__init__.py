"""The servers under test, the load generator, and the stand-in for the platforms' APIs."""
