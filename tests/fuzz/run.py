"""Read many damaged files and count what happens; can be killed at any moment and started again.

    python -m tests.fuzz.run --count 10000 --seed 1 --analyze --out results/fuzz.json [--findings FOLDER]

With --analyze what could be read is analysed too, so that "refused" counts the gate's refusals as well.

Every outcome is a line of OUT's journal (`fuzz.jsonl` beside `fuzz.json`) before the next input is read. A faulty
input is saved under FINDINGS as NUMBER-kind.bin. The readers run in a process of their own, which is started again
when it dies or takes too long.
"""

import argparse
import json
import multiprocessing
import os
import platform
import signal
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.progress import track

from lunglens import __version__
from lunglens.files import write_bytes, write_json
from tests.fuzz.mutate import Input, fuzz_input
from tests.fuzz.seeds import seeds
from tests.fuzz.worker import Outcome, work

SECONDS, PEAK_MB = 30, 1024
GRACE_SECONDS = 30  # how much longer is waited for an input that takes too long, to know by how much
RESULTS = ("analyzed", "read", "refused", "failed", "died", "unforeseen")
FAULTS = ("killed", "died", "unforeseen", "leaked", "patient", "unprintable", "long")
FAULTS += ("bad pixels", "printed", "slow", "large")


class Reader:
    """Reads files in a process of its own, which it starts again when that has ended."""

    def __init__(self, folder: Path, analyze: bool = False) -> None:
        self.folder, self.analyze = folder, analyze
        self.process: Any = None

    def read(self, path: Path) -> Outcome:
        """What came of one file; "killed" where the process ended or did not answer."""
        if self.process is None:
            self._start()
        try:
            self.pipe.send(str(path))
            if self.pipe.poll(SECONDS + GRACE_SECONDS):
                return self.pipe.recv()  # type: ignore[no-any-return]
            said, faults = "no answer", ["killed", "slow"]
        except (EOFError, ConnectionError):
            self.process.join(10)
            said, faults = f"the reading process ended with {self.process.exitcode}", ["killed"]
        self.stop()
        return Outcome("unforeseen", faults, said)

    def stop(self) -> None:
        """End the process and whatever it has started."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self.process.kill()
        self.process.join(10)
        self.pipe.close()
        self.process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # No daemon: the readers may start processes themselves.
        self.process = context.Process(target=work, args=(theirs, self.folder / "printed.txt", self.analyze))
        self.process.start()
        theirs.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--findings", type=Path, help="Folder for faulty inputs; OUT's name with -findings without it.")
    parser.add_argument("--analyze", action="store_true", help="Analyse what could be read.")
    arguments = parser.parse_args()
    out: Path = arguments.out
    journal = out.with_suffix(".jsonl")
    findings = arguments.findings or out.with_name(f"{out.stem}-findings")
    done = _begun(journal, arguments.seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, journal.open("a", encoding="utf-8") as lines:
        reader = Reader(Path(folder), arguments.analyze)
        try:
            for number in track(range(arguments.count), "reading damaged files"):
                if number not in done:
                    done[number] = _one(reader, fuzz_input(arguments.seed, number), Path(folder), findings)
                    lines.write(json.dumps({"number": number, **done[number]}) + "\n")
                    lines.flush()
        finally:
            reader.stop()
    content = summary([done[number] for number in range(arguments.count)])
    write_json(out, {"seed": arguments.seed, **_about(), **content})


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts of results and faults, together and by seed file, and the largest costs."""
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in seeds()}
    return {
        "count": len(rows),
        "results": _counts(rows),
        "faults": {fault: sum(fault in row["faults"] for row in rows) for fault in FAULTS},
        "slowest_s": max(row["seconds"] for row in rows),
        "largest_mb": max(row["peak_mb"] for row in rows),
        "by_kind": {
            kind: _counts(of) | {"faults": sum(bool(row["faults"]) for row in of)} for kind, of in kinds.items()
        },
        "faulty": [index for index, row in enumerate(rows) if row["faults"]],
    }


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    found = Counter(row["result"] for row in rows)
    return {result: found[result] for result in RESULTS}


def _one(reader: Reader, one: Input, folder: Path, findings: Path) -> dict[str, Any]:
    path = folder / f"input-{one.number}.bin"
    path.write_bytes(one.data)
    row = judged(reader.read(path)) | {"kind": one.kind, "mutations": one.mutations}
    if row["faults"]:
        name = f"{one.number}-{one.kind.replace(' ', '-')}"
        write_bytes(findings / f"{name}.bin", one.data)
        write_json(findings / f"{name}.json", row)
    path.unlink()
    return row


def judged(outcome: Outcome) -> dict[str, Any]:
    """The outcome with the faults that follow from its costs."""
    row = asdict(outcome)
    row["faults"] = sorted(
        {*outcome.faults}
        | ({"died"} if outcome.result == "died" else set())
        | ({"slow"} if outcome.seconds > SECONDS else set())
        | ({"large"} if outcome.peak_mb > PEAK_MB else set())
    )
    return row


def _begun(journal: Path, seed: int) -> dict[int, dict[str, Any]]:
    """Outcomes by input of a run that was begun; a torn last line is cut off."""
    head = json.dumps({"seed": seed, "version": __version__})
    if not journal.exists():
        write_bytes(journal, f"{head}\n".encode())
        return {}
    whole = journal.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    lines = whole.decode().splitlines()
    if lines[:1] != [head]:
        raise SystemExit(f"{journal}: is of another seed or version; move it away, or choose another --out")
    write_bytes(journal, whole)
    rows = [json.loads(line) for line in lines[1:]]
    return {row.pop("number"): row for row in rows}


def _about() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "lunglens": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


if __name__ == "__main__":
    main()
