"""Prints a table of ratios, each measured side by side in this one run, and writes it as JSON."""

import json
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.copies import measure_copies

RESULTS = Path("bench/results.json")


def main() -> None:
    rows = measure_copies()
    table = Table("what", "time", "against", "ratio", title="Understudy, measured")
    for row in rows:
        table.add_row(row.what, f"{row.seconds * 1e6:.1f} µs", row.against, f"{row.ratio:.2f}")
    Console().print(table)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    RESULTS.write_text(json.dumps({"machine": machine, "rows": [row._asdict() for row in rows]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
