"""Nothing is seen of a turn while it runs: letters are not edited."""
