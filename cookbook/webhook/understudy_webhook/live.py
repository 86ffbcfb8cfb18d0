"""Nothing is shown of a turn while it runs: the host application gets the answer when there is one."""
