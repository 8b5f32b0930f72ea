"""The command line as a user runs it, in a process of its own."""

import csv
import subprocess
import sys
from pathlib import Path


def run_cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lunglens", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def summary(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))
