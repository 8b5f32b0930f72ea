"""Check the environment this runs in: a base install of LungLens, small, quick to start and free of GPL code."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

MOST_PACKAGES = 50
MOST_MEGABYTES = 350
# Every new environment holds these; the install does not bring them.
OF_THE_ENVIRONMENT = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
TRAINING_ONLY = ("torch", "timm", "kornia", "lightning", "pandas", "scipy", "sklearn")

# GPL and AGPL in any spelling; the lesser GPL, and GCC's runtime under its exception, are fine.
COPYLEFT = re.compile(r"(?<!L)A?GPL|(?<!Lesser )General Public License|Affero", re.IGNORECASE)
EXEMPT = re.compile(r"LGPL[\w.+-]*|GPL[\w.+-]* WITH GCC-exception[\w.-]*", re.IGNORECASE)


def licence_of(package: importlib.metadata.Distribution) -> str:
    """What the package's metadata says its licence is; empty if nothing."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [str(c) for c in metadata.get_all("Classifier") or [] if str(c).startswith("License ::")]
    if classifiers:
        return "; ".join(c.rsplit(" :: ", 1)[-1] for c in classifiers)
    return next(iter(str(metadata.get("License") or "").strip().splitlines()), "")


def is_copyleft(licence: str) -> bool:
    """Whether every choice the licence leaves open is GPL or AGPL."""
    choices = re.split(r"\s+OR\s+", EXEMPT.sub("", licence))
    return all(COPYLEFT.search(choice) for choice in choices)


def megabytes(folders: set[str]) -> float:
    """The size of all files under the folders, without what the environment itself came with."""
    tops = (top for folder in folders for top in Path(folder).iterdir() if top.name not in OF_THE_ENVIRONMENT)
    files = (Path(parent, name) for top in tops for parent, _, names in os.walk(top) for name in names)
    return sum(file.lstat().st_size for file in files) / 1e6


def main() -> int:
    """Print one line for each check; 1 if any fails."""
    failed = []

    def report(good: bool, line: str) -> None:
        print(f"{'ok  ' if good else 'FAIL'}  {line}")
        if not good:
            failed.append(line)

    found = (p for p in importlib.metadata.distributions() if p.name not in OF_THE_ENVIRONMENT)
    packages = sorted(found, key=lambda package: package.name.lower())
    report(len(packages) <= MOST_PACKAGES, f"{len(packages)} packages (at most {MOST_PACKAGES})")

    paths = sysconfig.get_paths()
    size = megabytes({paths["purelib"], paths["platlib"]})
    report(size <= MOST_MEGABYTES, f"{size:.0f} MB in site-packages (at most {MOST_MEGABYTES})")

    licences = {package.name: licence_of(package) for package in packages}
    refused = [f"{name}: {licence}" for name, licence in licences.items() if is_copyleft(licence)]
    unknown = [name for name, licence in licences.items() if not licence]
    report(not refused, f"GPL or AGPL: {', '.join(refused) or 'none'}")
    report(not unknown, f"no licence stated: {', '.join(unknown) or 'none'}")

    command = Path(paths["scripts"], "lunglens")
    for run in ("first", "second"):
        started = time.perf_counter()
        help_text = subprocess.run([command, "--help"], capture_output=True, check=False)
        report(help_text.returncode == 0, f"lunglens --help, {run} run: {time.perf_counter() - started:.2f} s")

    listed = subprocess.run([command, "sources"], capture_output=True, check=False)
    report(listed.returncode == 0, "lunglens sources lists the public data sets")

    for verb in (["serve"], ["node", "--send-to", "A@localhost:104", "--spool", "spool"]):
        # With the extra it would serve until somebody stops it.
        done = subprocess.run([command, *verb], capture_output=True, text=True, check=False, timeout=60)
        asks = done.returncode == 2 and "lunglens[serve]" in done.stderr and "Traceback" not in done.stderr
        report(asks, f"lunglens {verb[0]} says which extra it needs")

    probe = f"import lunglens.film.analyzer, sys; print(*(name for name in {TRAINING_ONLY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    loaded = result.stdout.strip() or (result.stderr.strip().splitlines() or [""])[-1]
    report(result.returncode == 0 and not loaded, f"lunglens.film.analyzer imports for training: {loaded or 'none'}")

    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
