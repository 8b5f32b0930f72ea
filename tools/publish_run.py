"""Copy what of a run may be published into results/: numbers and drawings, no film, mask or weight.

    python tools/publish_run.py RUN results/crossval/NAME

For runs of `crossval`, folders of `lunglens compare` and of `lunglens explain`.
"""

import argparse
import shutil
from pathlib import Path

TABLES = ("run.json", "metrics.json", "predictions.csv", "table6.md", "heat.json", "heat.csv")
TABLES += ("comparison.json", "comparison.md", "table7.csv", "pairs.csv")
DRAWINGS = ("gap.svg", "confusion.svg", "roc.svg", "curves.svg", "dice.svg", "folds.svg", "measures.svg", "heat.svg")


def publish(run: Path, to: Path) -> list[Path]:
    """Copy the known files; a file that names a folder of this machine is refused."""
    to.mkdir(parents=True, exist_ok=True)
    copied = []
    for name in (*TABLES, *DRAWINGS):
        source = next((path for path in (run / name, run / "figures" / name) if path.is_file()), None)
        if source is None:
            continue
        if str(run.resolve().parents[1]) in source.read_text(encoding="utf-8"):
            raise SystemExit(f"{source}: names a folder of this machine; not published")
        copied.append(Path(shutil.copyfile(source, to / name)))
    return copied


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args()
    print("\n".join(map(str, publish(arguments.run, arguments.to))))


if __name__ == "__main__":
    main()
