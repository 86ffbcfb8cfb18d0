"""Stand-ins for the servers of third parties, on loopback. README.md describes each of them."""
