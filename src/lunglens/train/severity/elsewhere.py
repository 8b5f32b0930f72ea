"""What the severity package says of films that nobody has scored: normals should get little, others more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import LungLensError
from lunglens.evaluate.heat import mean_with_interval
from lunglens.files import save_csv, write_json
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.train.gate.films import frontal_films
from lunglens.train.provenance import today
from lunglens.train.severity.films import SOURCE


def measure_elsewhere(data: Path, out: Path, per_source: int, console: Console) -> dict[str, Any]:
    """Analyse films of the other sources; the sums by source and label into `out/severity-elsewhere.json`.

    Args:
        data: folder of the data sets.
        out: folder for results; `severity-elsewhere.csv` has a row a film.
        per_source: at most so many films of each label of a source.
        console: for progress.
    """
    films = frontal_films(data, 10**6)
    films = films[films["source"] != SOURCE].groupby(["source", "label"]).head(per_source)
    table = pd.DataFrame(_scored(films, console))
    save_csv(table.drop(columns="group_id"), out / "severity-elsewhere.csv")
    found: dict[str, Any] = {"date": today(), "sums": {}}
    for (source, label), rows in table.groupby(["source", "label"], sort=True):
        mean, between = mean_with_interval(rows["sum"].to_numpy(float), rows["group_id"].to_numpy(str))
        quartiles = [round(float(rows["sum"].quantile(share)), 2) for share in (0.25, 0.5, 0.75)]
        summary = {"n": len(rows), "mean": mean, "mean_95_ci": between, "quartiles": quartiles}
        found["sums"][f"{source} {label}"] = summary
    write_json(out / "severity-elsewhere.json", found)
    return found


def _scored(films: pd.DataFrame, console: Console) -> Iterator[dict[str, Any]]:
    analyzer = Analyzer.load()
    for row in track(films.to_dict("records"), "analysing", console=console):
        try:
            finding = analyzer.analyze(row["path"])
        except LungLensError:
            continue
        if isinstance(finding, Analyzed) and finding.severity is not None:
            about = {name: row[name] for name in ("source", "label")} | {"group_id": row["group_id"] or row["path"]}
            yield about | {"film": Path(row["path"]).name, "sum": round(finding.severity.total, 3)}
