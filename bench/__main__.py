"""Run all measurements, print their table, and write it to bench/results.json."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.harness.measure import Row
from bench.measurements.accepting import measure_accepting
from bench.measurements.answering import measure_answering
from bench.measurements.attachments import measure_attachments
from bench.measurements.copies import measure_copies
from bench.measurements.growth import measure_growth
from bench.measurements.limits import measure_limits
from bench.measurements.rendering import measure_rendering
from bench.measurements.scaling import measure_scaling
from bench.measurements.services import measure_services
from bench.measurements.turns import measure_turns
from bench.measurements.waiting import measure_waiting

RESULTS = Path("bench/results.json")


# In the order of the table.
MEASUREMENTS = (
    measure_copies,
    measure_turns,
    measure_services,
    measure_rendering,
    measure_accepting,
    measure_answering,
    measure_limits,
    measure_scaling,
    measure_waiting,
    measure_growth,
    measure_attachments,
)


def main() -> None:
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    title = f"Measured on {datetime.now(UTC):%Y-%m-%d}, {machine}"
    table = Table("operation", "time, rate or memory", "compared with", "ratio", title=title)
    rows: list[Row] = []
    for measure in MEASUREMENTS:
        rows += measure()
        # After each measurement, so that an error in a later one does not cost the results.
        RESULTS.write_text(json.dumps({"machine": machine, "rows": [row._asdict() for row in rows]}, indent=2) + "\n")
    for row in rows:
        table.add_row(row.what, f"{row.value:.2f} {row.unit}", row.against, f"{row.ratio:.3f}")
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
