"""The benchmark that `make bench` runs. Both sides of each comparison are measured in the same run."""
