"""The application: the `Gateway` that hosts use, how its parts are wired, and its server."""
