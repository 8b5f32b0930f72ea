"""What the gate lets through at which score, and how unequal its lungs are: for films whose header is doubted.

    python benchmarks/doubted_films.py --data DATA --per-source 60

Frontal adult films of every source must pass, lateral films and CT slices must not; upper thirds (neck, no whole lung)
and lower halves (belly, bases of the lungs) of frontal films stand for other parts of the body. Counts at the gate's
own threshold and above; then the quantiles of larger : smaller lung of the frontal films that pass.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from lunglens.film.analyzer import Analyzer
from lunglens.film.preprocess import Floats
from lunglens.film.radiograph import radiograph_from_array, read_radiograph
from lunglens.train.gate.films import gate_films

SCORES = (0.0, 0.5, 0.6, 0.7, 0.8)
PARTS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--per-source", type=int, default=60)
    arguments = parser.parse_args()
    table = gate_films(arguments.data, arguments.per_source)
    films = {f"{kind} {source}": list(rows["path"]) for (kind, source), rows in table.groupby(["kind", "source"])}
    analyzer, scores, ratios = Analyzer.load(), defaultdict(list), []
    for name, paths in films.items():
        for path in paths:
            score, ratio = _judged(analyzer, read_radiograph(path).pixels)
            scores[name].append(score)
            ratios += [ratio] if name.startswith("film") and score > 0 else []
    for path in table[table["kind"] == "film"].sample(PARTS, random_state=0)["path"]:
        pixels = read_radiograph(path).pixels
        scores["upper third"].append(_judged(analyzer, pixels[: len(pixels) // 3])[0])
        scores["lower half"].append(_judged(analyzer, pixels[len(pixels) // 2 :])[0])
    print(f"{'':36s}{'n':>5s}{'gate':>7s}" + "".join(f"{least:7.1f}" for least in SCORES[1:]))
    for name, found in scores.items():
        passed = [sum(score > 0 and score >= least for score in found) for least in SCORES]
        print(f"{name:36s}{len(found):5d}" + "".join(f"{count:7d}" for count in passed))
    print("larger : smaller lung", {q: round(float(np.quantile(ratios, q)), 2) for q in (0.5, 0.9, 0.95, 0.97, 0.99)})
    print(f"above 2: {sum(ratio > 2 for ratio in ratios)} of {len(ratios)}")


def _judged(analyzer: Analyzer, pixels: Floats) -> tuple[float, float]:
    """The score, 0 where the gate refuses; and larger : smaller lung."""
    gate = analyzer.segment(radiograph_from_array(np.ascontiguousarray(pixels))).gate
    smaller, larger = sorted((gate.left_share, gate.right_share))
    return (gate.frontal_score if gate.accepted else 0.0), larger / max(smaller, 1e-9)


if __name__ == "__main__":
    main()
