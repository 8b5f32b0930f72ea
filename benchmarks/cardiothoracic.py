"""The cardiothoracic ratio against lines that were drawn by hand on ruled films: `cardiothoracic.csv` beside this file.

    python benchmarks/cardiothoracic.py --data DATA --out results/cardiothoracic.json

Places are percent of the film's width, read by eye (lines every 2 %) before the ratio was computed, by one reader who
is no radiologist. On the films of "chosen on" the way was chosen; those of "checked on" have taken no part in that.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.evaluate.heat import mean_with_interval
from lunglens.files import write_json
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.train.provenance import today

HAND = Path(__file__).with_suffix(".csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table, analyzer = pd.read_csv(HAND), Analyzer.load()
    table["hand"] = (table["heart_left"] - table["heart_right"]) / (table["chest_left"] - table["chest_right"])
    films = track(table["film"], "films", console=Console(stderr=True))
    table["ours"] = [ratio_of(analyzer, arguments.data / film) for film in films]
    found = {"date": today(), "lungs": analyzer.lungs.name}
    write_json(arguments.out, found | {part: agreement(rows) for part, rows in table.groupby("part")})
    print(table.assign(off=table["ours"] - table["hand"]).round(3).to_string())


def ratio_of(analyzer: Analyzer, film: Path) -> float:
    """NaN where there is none."""
    found = analyzer.analyze(film)
    measured = found.cardiothoracic if isinstance(found, Analyzed) else None
    return float("nan") if measured is None else measured.ratio


def agreement(rows: pd.DataFrame) -> dict[str, object]:
    """How far ours is from the hand's; both sides of one half, by which a heart is called enlarged."""
    known = rows[rows["ours"].notna()]
    off = (known["ours"] - known["hand"]).to_numpy(float)
    films = known["film"].to_numpy(str)
    found: dict[str, object] = {"n": len(known), "without": len(rows) - len(known)}
    for name, values in (("off", off), ("absolute", np.abs(off))):
        found[name], found[f"{name}_95_ci"] = mean_with_interval(values, films)
    found["95_%_within"] = round(float(np.quantile(np.abs(off), 0.95)), 3)
    found["correlation"] = round(float(np.corrcoef(known["ours"], known["hand"])[0, 1]), 3)
    found["same_side_of_one_half"] = round(float(((known["ours"] > 0.5) == (known["hand"] > 0.5)).mean()), 3)
    return found


if __name__ == "__main__":
    main()
