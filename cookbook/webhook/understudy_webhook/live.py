"""Nothing is seen of a turn while it runs: the host application takes finished messages only."""
