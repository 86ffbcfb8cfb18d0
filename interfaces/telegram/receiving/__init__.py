"""Read updates by polling, and pass those that start no turn to an operator's own handlers."""
