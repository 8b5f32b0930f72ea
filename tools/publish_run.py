"""Copy what of a run may be published into results/: its numbers, no film, mask or weight (`make figures` draws).

    python tools/publish_run.py RUN results/crossval/NAME

For runs of `crossval`, folders of `lunglens compare` and of `lunglens explain`, and for a whole `lunglens sweep`, whose
table `lunglens compare --systems` makes of the copy too.
"""

import argparse
import shutil
from pathlib import Path

TABLES = ("run.json", "metrics.json", "predictions.csv", "heat.json", "heat.csv")
TABLES += ("comparison.json", "comparison.md", "table7.csv", "pairs.csv", "sweep.json")
SHOWN = ("heat.svg",)  # in the docs


def publish(run: Path, to: Path) -> list[Path]:
    """Copy the known files; a file that names a folder of this machine is refused."""
    to.mkdir(parents=True, exist_ok=True)
    copied = []
    for name in (*TABLES, *SHOWN):
        source = run / name
        if not source.is_file():
            continue
        if str(run.resolve().parents[1]) in source.read_text(encoding="utf-8"):
            raise SystemExit(f"{source}: names a folder of this machine; not published")
        copied.append(Path(shutil.copyfile(source, to / name)))
    for measured in run.glob("*/*/metrics.json") if (run / "sweep.json").exists() else ():
        copied += publish(measured.parent, to / measured.parent.relative_to(run))
    return copied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args()
    print("\n".join(map(str, publish(arguments.run, arguments.to))))


if __name__ == "__main__":
    main()
