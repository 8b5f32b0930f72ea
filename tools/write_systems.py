"""Write docs/systems.md and its pictures from the presets' facts and from results/systems.

python tools/write_systems.py
"""

import csv
import json
from itertools import groupby
from pathlib import Path

from draw_systems import drawn
from draw_systems import main as draw
from jinja2 import Environment, StrictUndefined

from lunglens.study.config import Config, shipped_systems
from lunglens.study.config.system import PrintedResult, SystemFacts
from lunglens.text import markdown_table
from lunglens.train.systems import FITTED, NETWORKS
from lunglens.train.systems.parameters import parameters_of

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "systems.md", ROOT / "results" / "systems"
SEVERITY = {
    "ImageNet features of the six zones (ships), out of fold": ROOT / "results" / "crossval" / "severity",
    "BS-Net, out of fold": ROOT / "results" / "crossval" / "severity-bsnet",
}
SHOWN = {"film": "whole film", "lungs": "lungs only", "surroundings": "lungs black"}
SURE = 0.05
CONDITION = ("accuracy", "auroc")
MEASURES = ("accuracy", "sensitivity", "specificity", "auc", "f1", "kappa")


def facts_of(config: Config) -> SystemFacts:
    assert config.system is not None  # noqa: S101 - a preset says whose it is
    return config.system


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    return "\n".join(markdown_table(head, rows))


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.4g} %"


def printed_cells(result: PrintedResult) -> list[str]:
    """Setting, then each figure as it was printed, in per cent but for areas, F1 and kappa."""
    shares = [percent(getattr(result, name)) for name in MEASURES[:3]]
    numbers = ["" if (value := getattr(result, name)) is None else f"{value:g}" for name in MEASURES[3:]]
    return [result.setting, *shares, *numbers, result.meaning]


def printed_table(facts: SystemFacts) -> str:
    """Columns that no result has are left out."""
    rows = [printed_cells(result) for result in facts.printed]
    head = ("setting", "accuracy", "sensitivity", "specificity", "AUC", "F1", "kappa", "what it is")
    kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
    return table(tuple(head[column] for column in kept), [[row[column] for column in kept] for row in rows])


def preset_table(presets: dict[str, Config]) -> str:
    rows = []
    for name, config in presets.items():
        counts = parameters_of(config.classifier)
        size = "" if counts is None else f"{counts[0] / 1e6:,.2f} M"
        learns = "" if counts is None or counts[0] == counts[1] else f"{counts[1] / 1e6:,.2f} M"
        optimization, view = config.classifier.optimization, config.classifier.view
        how = f"{optimization.epochs} epochs of batches of {optimization.batch_size}" if counts else ""
        rows.append([f"`{name}`", size, learns, f"{view.input_size} px", how])
    return table(("preset", "parameters", "of them learn", "film", "training"), rows)


def ours(presets: dict[str, Config], rows: list[dict[str, str]]) -> str:
    """What our runs of these presets have found in folds and elsewhere, or how to make them."""
    first, config = next(iter(presets.items()))
    if config.classifier.network not in {*NETWORKS, *FITTED}:
        return "\n\n" + severity_table()
    runs: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for row in rows:
        if row["system"] in presets:
            run = tuple(row[name] for name in ("system", "began", "study", "shown", "seed"))
            runs.setdefault(run, {})[row["kind"]] = row
    if not runs:
        return f" Not yet run here: `lunglens crossval classifier STUDY --system {first} --out RUN`."
    cells = []
    for (system, began, study, shown, _), parts in runs.items():
        folds, elsewhere = parts.get("folds", {}), parts.get("elsewhere", {})
        shares = [share(folds, name) for name in ("auroc", "sensitivity", "specificity")]
        cells.append([f"`{system}`", began, study, SHOWN[shown], *shares, share(elsewhere, "auroc")])
    head = ("preset", "began from", "study", "sees", "AUROC in folds", "sensitivity", "specificity", "AUROC elsewhere")
    return "\n\n" + table(head, cells)


def severity_table() -> str:
    """How far readers and models agree on the Brixia score: two readers, then each model against their mean."""
    runs = {name: json.loads((path / "metrics.json").read_text()) for name, path in SEVERITY.items() if path.exists()}
    readers = next(iter(runs.values()))["readers"]
    measured = {"one reader against the other": readers} | {name: run["consensus"] for name, run in runs.items()}
    names = ("zone_kappa_linear", "zone_kappa_quadratic", "zone_mae", "pearson")
    rows = [
        [
            who,
            str(found["n"]),
            *(f"{found[n]:.3f} ({' to '.join(f'{e:.3f}' for e in found[f'{n}_95_ci'])})" for n in names),
        ]
        for who, found in measured.items()
    ]
    head = ("who", "films", "zones: linear kappa", "quadratic kappa", "mean error of a zone", "correlation of the sums")
    return table(head, rows)


def table_of(name: str) -> list[dict[str, str]]:
    """The rows of a table of results/systems; none if it is not there."""
    file = RESULTS / f"{name}.csv"
    return list(csv.DictReader(file.open(encoding="utf-8"))) if file.exists() else []


def conditions_table() -> str:
    """What `benchmarks/printed_conditions.py` has found, if it has been run."""
    file = RESULTS / "conditions.json"
    if not file.exists():
        return ""
    rows = []
    for name, parts in json.loads(file.read_text()).items():
        for where, found in parts.items():
            shares = [f"{found[n]:.3f} ({' to '.join(f'{e:.3f}' for e in found[f'{n}_95_ci'])})" for n in CONDITION]
            rows.append([name, where, str(found["n"]), *shares, f"{found['sensitivity']:.3f}"])
    return table(("conditions, system", "films", "n", "accuracy", "AUROC", "sensitivity"), rows)


def shipped_table() -> str:
    """Each system against the twin of the classifier that ships, on films of places that the twin has not seen."""
    runs: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in table_of("against-shipped"):
        if row["kind"] == "pair" and row["against"]:
            runs.setdefault((row["system"], row["shown"]), {})[row["films"]] = row
    films = sorted({words for parts in runs.values() for words in parts})
    best = sorted(runs.items(), key=lambda item: -sum(float(row["auroc"]) for row in item[1].values()))
    rows = [
        [f"`{run[0]}`", SHOWN[run[1]], *(c for words in films for c in compared(parts[words]))] for run, parts in best
    ]
    head = ("preset", "sees", *(cell for words in films for cell in (f"AUROC, {words}", "less the twin's", "p, Holm")))
    return table(head, rows)


def verdicts() -> list[str]:
    """Which runs beat the twin on each pair, and which are worse, by the corrected test; then who is best elsewhere."""
    rows = table_of("against-shipped")
    pairs: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["kind"] == "pair" and row["against"]:
            pairs.setdefault(row["films"], []).append(row)
    told = []
    for words, found in sorted(pairs.items()):
        sure = [row for row in found if row["p_holm"] and float(row["p_holm"]) < SURE]
        better = [f"`{row['system']}` ({SHOWN[row['shown']]})" for row in sure if float(row["against"]) > 0]
        worse = sum(float(row["against"]) < 0 for row in sure)
        told.append(f"{words}: {', '.join(better) or 'none'} better, {worse} of {len(found)} worse")
        black = max((row for row in found if row["shown"] == "surroundings"), key=lambda row: float(row["auroc"]))
        told[-1] += f"; without a lung, its place black, `{black['system']}` has {share(black, 'auroc')}"
    elsewhere = [row for row in rows if row["kind"] == "elsewhere"]
    best = sorted(elsewhere, key=lambda row: -float(row["auroc"]))[:3]
    ranked = ", ".join(f"`{row['system']}` ({SHOWN[row['shown']]}) {share(row, 'auroc')}" for row in best)
    return [*told, f"elsewhere, all films: {ranked} are the best of {len(elsewhere)}"] if rows else []


def compared(row: dict[str, str]) -> tuple[str, str, str]:
    """AUROC, the difference, and its corrected p."""
    p = row["p_holm"] and ("< 0.0001" if float(row["p_holm"]) < 1e-4 else f"{float(row['p_holm']):.4f}")
    difference = f"{float(row['against']):+.3f} ({float(row['against_low']):+.3f} to {float(row['against_high']):+.3f})"
    return share(row, "auroc"), difference, p or "-"


def share(row: dict[str, str], name: str) -> str:
    """0.971 (0.960 to 0.981), or a dash."""
    if not row.get(name):
        return "-"
    ends = [f"{float(row[end]):.3f}" for end in (f"{name}_low", f"{name}_high") if row.get(end)]
    return f"{float(row[name]):.3f}" + (f" ({' to '.join(ends)})" if ends else "")


def main() -> None:
    draw()
    pictures, systems = drawn(), shipped_systems()
    rows = table_of("systems")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701
    pages = []
    for number, items in groupby(systems.items(), key=lambda item: facts_of(item[1]).number):
        presets = dict(items)
        first = next(iter(presets.values()))
        pages.append(
            {
                "number": number,
                "facts": facts_of(first),
                "pictures": {
                    name: picture for picture, name in {pictures[n].name: n for n in reversed(presets)}.items()
                },
                "presets": preset_table(presets),
                "printed": printed_table(facts_of(first)),
                "ours": ours(presets, rows),
            }
        )
    misquotes = [[p["facts"].title, p["facts"].quoted, p["facts"].misquote] for p in pages if p["facts"].misquote]
    text = environment.from_string((Path(__file__).parent / "systems.md.jinja").read_text()).render(
        systems=pages,
        misquotes=table(("system", "the paper says", "but"), misquotes),
        side_by_side=bool(rows),
        conditions=conditions_table(),
        shipped=shipped_table() if table_of("against-shipped") else "",
        verdicts=verdicts(),
    )
    PAGE.write_text(text + "\n")


if __name__ == "__main__":
    main()
