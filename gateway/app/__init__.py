"""The application: the public `Gateway` class, the wiring of its parts, and the server."""
