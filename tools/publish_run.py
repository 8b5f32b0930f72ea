"""Copy what of a run may be published into results/: its numbers, no film, mask or weight (`make figures` draws).

    python tools/publish_run.py RUN results/crossval/NAME

For runs of `crossval`, folders of `lunglens audit`, `compare` and `explain`, and for a whole `lunglens sweep`.
"""

import argparse
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

TABLES = ("run.json", "metrics.json", "predictions.csv", "heat.json", "heat.csv")
TABLES += ("audit.json", "comparison.json", "comparison.md", "table7.csv", "pairs.csv")
# Of a sweep; page and systems.json hold the same and are made of runs.tar.xz again.
SWEPT = ("sweep.json", "systems.csv", "systems.md", "systems.svg", "systems.tex")
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
    return copied


def publish_sweep(sweep: Path, to: Path) -> list[Path]:
    """The table as it is, and of every finished run its numbers, packed: a hundred runs are 400,000 lines.

    `tar xf runs.tar.xz` beside `sweep.json` gives `lunglens compare --systems` what it needs.
    """
    to.mkdir(parents=True, exist_ok=True)
    tables = [sweep / name for name in SWEPT if (sweep / name).is_file()]
    copied = [Path(shutil.copyfile(file, to / file.name)) for file in tables]
    with tarfile.open(to / "runs.tar.xz", "w:xz") as archive, TemporaryDirectory() as scratch:
        for measured in sorted(sweep.glob("*/*/metrics.json")):
            place = measured.parent.relative_to(sweep)
            for file in publish(measured.parent, Path(scratch) / place):
                archive.add(file, place / file.name, filter=_of_nobody)
    return [*copied, to / "runs.tar.xz"]


def _of_nobody(file: tarfile.TarInfo) -> tarfile.TarInfo:
    """Equal contents make equal archives, whoever packs them when."""
    file.uid = file.gid = file.mtime = 0
    file.uname = file.gname = ""
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args()
    is_sweep = (arguments.run / "sweep.json").exists()
    print("\n".join(map(str, (publish_sweep if is_sweep else publish)(arguments.run, arguments.to))))


if __name__ == "__main__":
    main()
