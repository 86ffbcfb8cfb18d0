"""The benchmark, which `make bench` runs: each number is measured beside the one with which it is compared."""
