"""Networks for the lungs beside each other on the patients that none of them has seen, each with and without mirroring.

    python benchmarks/lungs_choices.py runs/lungs/two-256 runs/lungs/two-384 --out results/lungs-choices.json
    python benchmarks/lungs_choices.py runs/lungs/lite0 --part validation --whole-from 0.5 0.35 --out OUT

Each RUN is a folder of `lunglens train lungs` with the same films and split; films of one part of its `manifest.csv`
are measured. Mirrored: the mean of the network's maps of a film and of its mirror image, which takes it twice.
Whole-from: the whole lung's threshold, in place of mirroring; it is chosen on validation films alone.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from lunglens.evaluate.segmentation import measures_by_rule
from lunglens.files import write_json
from lunglens.film.model_package.package import ModelPackage, load_package
from lunglens.text import markdown_table
from lunglens.train.lungs.measure import as_written, measure_films
from lunglens.train.provenance import films_fingerprint, today

_TIMED = 20
_HEAD = ["network", "answer", "ms", "mask", "n", "Dice", "p5", "worst twentieth", "covered", "its worst twentieth"]


class _Changed:
    """A lungs package that is as another but for one thing."""

    def __init__(self, package: ModelPackage[Any]) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Any:
        return getattr(self._package, name)


class _Mirrored(_Changed):
    """Its maps are the mean over a film and its mirror image."""

    def run(self, film: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        found, other = self._package.run(film), self._package.run(np.ascontiguousarray(film[..., ::-1]))
        return found | {"probability": (found["probability"] + other["probability"][..., ::-1]) / 2}


class _WholeFrom(_Changed):
    """Its whole lung begins at another threshold."""

    def __init__(self, package: ModelPackage[Any], threshold: float) -> None:
        super().__init__(package)
        settings = package.parameters.postprocess.model_copy(update={"region_threshold": threshold})
        self.parameters = package.parameters.model_copy(update={"postprocess": settings})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--whole-from", type=float, nargs="+", default=[])
    arguments = parser.parse_args()
    found: dict[str, Any] = {"date": today(), "part": arguments.part, "networks": {}}
    for run in arguments.runs:
        films = pd.read_csv(run / "manifest.csv", dtype=str)
        found["data_fingerprint"] = films_fingerprint(films)
        plain = load_package(run / "package")
        answers: dict[str, Any] = {f"whole from {at:g}": _WholeFrom(plain, at) for at in arguments.whole_from}
        for answer, package in (answers or {"plain": plain, "mirrored": _Mirrored(plain)}).items():
            table = measure_films(films[films["part"] == arguments.part], package, Console(stderr=True))
            measured = as_written(measures_by_rule(table))
            found["networks"][f"{plain.name}, {answer}"] = {"ms": milliseconds(package), "measured": measured}
    write_json(arguments.out, found)
    print("\n".join(markdown_table(_HEAD, list(rows(found["networks"])))))


def milliseconds(package: Any) -> float:
    """Median time of one film, on the threads that the package runs on."""
    film = np.random.default_rng(0).random((1, 1, package.input_size, package.input_size), np.float32)
    times = []
    for _ in range(_TIMED):
        began = time.perf_counter()
        package.run(film)
        times.append(time.perf_counter() - began)
    return round(1000 * float(np.median(times)), 1)


def rows(networks: dict[str, Any]) -> Iterator[list[str]]:
    """A line a network, answer and set of films."""
    for name, found in networks.items():
        for rule, films in found["measured"].items():
            for source, values in films.items():
                dice, covered = values["dice"], values["covered"]
                shares = [dice["mean"], dice["percentile_5"], dice["worst_twentieth_mean"]]
                shares += [covered["mean"], covered["worst_twentieth_mean"]]
                about = [*name.split(", "), str(found["ms"]), f"{rule}, {source}", str(values["n"])]
                yield [*about, *(f"{share:.4f}" for share in shares)]


if __name__ == "__main__":
    main()
