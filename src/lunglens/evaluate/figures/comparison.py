"""A comparison of classifiers as files: JSON, CSV, Markdown and two figures (table 7 and figure 14 of the paper)."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lunglens.evaluate.compare import COSTS, Comparison, Difference, Entry, Pair
from lunglens.evaluate.figures.comparison_figures import confusion_figure, measures_figure
from lunglens.evaluate.figures.style import p_value, percent, percents, save_pdf, save_svg
from lunglens.evaluate.run_record import Measures
from lunglens.files import read_json, save_csv, write_bytes, write_json
from lunglens.text import latex_table, markdown_table

_SHOWN = {
    "accuracy": "accuracy, %",
    "sensitivity": "sensitivity, %",
    "specificity": "specificity, %",
    "auroc": "AUROC, %",
    "f1": "F1, %",
}
_NOT_INFERIOR: dict[tuple[bool | None, bool | None], str] = {
    (True, True): "both",
    (True, False): "first",
    (False, True): "second",
    (False, False): "neither",
}
# timm's name of a model, or how it begins -> place, accuracy, sensitivity and "specificity" in the paper, % as printed.
PRINTED = {
    "hrnet": ("Table 7, proposed model", "99.26", "98.53", "98.82"),
    "resnet152": ("Table 7, ResNet152", "94.50", "95.12", "94.00"),
    "densenet121": ("Table 7, DenseNet121", "93.40", "90.24", "96.00"),
    "efficientnet_b4": ("Table 7, EfficientNetB4", "97.56", "95.12", "96.15"),
}


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write `comparison.json`, `table7.csv`, `pairs.csv`, `comparison.md`, `.tex` and figures as SVG and PDF.

    Raises:
        OSError: the folder cannot be written.
    """
    files = [out / name for name in ("comparison.json", "table7.csv", "pairs.csv", "comparison.md", "comparison.tex")]
    write_json(files[0], _as_json(comparison))
    save_csv(pd.DataFrame([_row(entry) for entry in comparison.entries]), files[1])
    save_csv(pd.json_normalize([asdict(pair) for pair in comparison.pairs], sep="_"), files[2])
    write_bytes(files[3], markdown(comparison).encode())
    write_bytes(files[4], "\n".join(line for table in _tables(comparison) for line in latex_table(*table)).encode())
    return [*files, *write_comparison_figures(out)]


def write_comparison_figures(folder: Path) -> list[Path]:
    """Draw `figures/confusion` and `figures/measures`, SVG and PDF, from a folder's `comparison.json`.

    Raises:
        DataError: it is missing or damaged.
    """
    content = read_json(folder / "comparison.json", "make it again with compare")
    models = {run["name"]: Measures.model_validate(run["pooled"]) for run in content["runs"]}
    drawn = []
    for name, draw in (("confusion", confusion_figure), ("measures", measures_figure)):
        drawn += save_svg(folder / "figures" / f"{name}.svg", draw, models)
        drawn += save_pdf(folder / "figures" / f"{name}.pdf", draw, models)
    return drawn


def _as_json(comparison: Comparison) -> dict[str, Any]:
    """The content of `comparison.json`."""
    return {
        "format": 1,
        "study": comparison.study.to_json(),
        "classes": comparison.classes,
        "margin": comparison.margin,
        "films": comparison.films,
        "groups": comparison.groups,
        "runs": [
            {
                "name": entry.name,
                "folder": entry.folder,
                **{name: about[name] for name in ("model", "cut", *COSTS, "hardware")},
                "pooled": entry.pooled.to_json(),
                "mean_of_folds": {name: mean.to_json() for name, mean in entry.mean.items()},
                "folds": {fold: found.to_json() for fold, found in entry.folds.items()},
            }
            for entry in comparison.entries
            for about in [entry.run.to_json()]
        ],
        "pairs": [asdict(pair) for pair in comparison.pairs],
        "settings_that_differ": comparison.settings,
    }


def markdown(comparison: Comparison) -> str:
    """The comparison in words and tables."""
    names, (models, pairs) = [entry.name for entry in comparison.entries], _tables(comparison)
    folds = len(comparison.entries[0].folds)
    lines = [
        f"# {len(names)} classifiers on {comparison.study.name}",
        "",
        f"{comparison.films} films in {comparison.groups} groups (patients), {folds} folds; every film is predicted "
        "by the model that did not see it in training. In brackets 95 % bootstrap intervals by group. AUROC is "
        "over the probabilities of all folds together. " + _definition(comparison.classes),
        "",
        *markdown_table(models.head, models.rows),
        "",
        *_remarks(comparison),
        f"## {pairs.title}",
        "",
        pairs.caption,
        "",
        *markdown_table(pairs.head, pairs.rows),
        "",
        *_beside_the_paper(comparison),
    ]
    return "\n".join(lines)


class _Table(NamedTuple):
    """For Markdown and LaTeX alike."""

    title: str
    caption: str
    head: list[str]
    rows: list[list[str]]


def _tables(comparison: Comparison) -> tuple[_Table, _Table]:
    models = _Table(
        "Models",
        "In brackets 95 % bootstrap intervals by group (patient)",
        ["model", *_SHOWN.values(), "parameters, M", "GFLOPs", "CPU, ms a film"],
        [
            [entry.name, *(percents(entry.pooled, name) for name in _SHOWN), *_costs(entry)]
            for entry in comparison.entries
        ],
    )
    pairs = _Table(
        "Pairs",
        "The first model less the second, in percentage points. *Reversed*: share of the bootstrap draws in which the "
        "difference is zero or has the other sign. *Not inferior*: whose AUROC, says the interval, is not lower by "
        f"{100 * comparison.margin:g} points or more. McNemar's exact test counts the films that "
        "only one of the two calls rightly; it takes films as independent, so where patients have several films the "
        "interval by group is the one to trust. Holm's correction is over the pairs of this table.",
        ["pair", "accuracy", "reversed", "AUROC", "reversed", "not inferior", "only one right", "McNemar p", "Holm"],
        [_pair(pair) for pair in comparison.pairs],
    )
    return models, pairs


def _definition(classes: Sequence[str]) -> str:
    if len(classes) == 2:
        return f"{classes[0]} is called from a probability of 0.5 on."
    return (
        "The class with the largest probability is called; all but accuracy are means of each class against the rest."
    )


def _remarks(comparison: Comparison) -> list[str]:
    """What makes the rows less comparable than they look."""
    said = []
    machines = [entry.run.hardware for entry in comparison.entries]
    if any(machine != machines[0] for machine in machines):
        said.append("The runs were made on different machines: their CPU times cannot be compared.")
    if any(entry.pooled.value(name) == 1 for entry in comparison.entries for name in _SHOWN):
        said.append(
            "An interval of 100 to 100 only says that there was no error to draw: with none among n groups, an error "
            "rate of up to about 3/n is within 95 % (the rule of three)."
        )
    names = [entry.name for entry in comparison.entries]
    for key, values in comparison.settings.items():
        if key != "backbone":
            each = ", ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
            said.append(f"Setting `{key}` differs ({each}).")
    return [*(f"- {line}" for line in said), ""] if said else []


def _beside_the_paper(comparison: Comparison) -> list[str]:
    """Our means over the folds beside the printed figures of the same models, where the task is the paper's."""
    found = [(entry, row) for entry in comparison.entries if (row := printed_of(entry.run.model)) is not None]
    if len(comparison.classes) != 2 or "covid" not in comparison.classes[0].lower() or not found:
        return []
    shown = ("accuracy", "sensitivity", "specificity", "npv")
    rows = [[entry.name, *(percent(entry.mean[name].mean) for name in shown), *row] for entry, row in found]
    ours, theirs = ["accuracy", "sensitivity", "specificity", "NPV"], ["accuracy", "sensitivity", '"specificity"']
    return [
        "## Beside the paper",
        "",
        "Ours are means over the folds, on other films than the paper's. Its specificity column holds the negative "
        "predictive value for the proposed model and EfficientNetB4, and its baselines' figures fit one fold each: see "
        "`lunglens compare --paper`.",
        "",
        *markdown_table(["model", *ours, "paper", *theirs], rows),
        "",
    ]


def printed_of(model: str) -> tuple[str, ...] | None:
    """What the paper prints of a timm model: place, accuracy, sensitivity, "specificity" in %; None of others."""
    return PRINTED.get("hrnet" if model.startswith("hrnet") else model.split(".", maxsplit=1)[0])


def _row(entry: Entry) -> dict[str, Any]:
    """A line of `table7.csv`: shares 0..1."""
    row: dict[str, Any] = {"name": entry.name, "model": entry.run.model, "cut": entry.run.cut}
    for name in _SHOWN:
        low, high = entry.pooled.interval(name) or (None, None)
        row |= {name: entry.pooled.value(name), f"{name}_low": low, f"{name}_high": high}
        row |= {f"{name}_mean_of_folds": entry.mean[name].mean, f"{name}_sd_of_folds": entry.mean[name].sd}
    return row | {cost: getattr(entry.run, cost) for cost in COSTS}


def _costs(entry: Entry) -> list[str]:
    run = entry.run
    return [f"{(run.parameters or 0) / 1e6:.1f}", f"{run.gflops or 0:.2f}", f"{run.cpu_ms or 0:.0f}"]


def _pair(pair: Pair) -> list[str]:
    return [
        f"{pair.first} - {pair.second}",
        *_difference(pair.accuracy),
        *_difference(pair.auroc),
        _NOT_INFERIOR.get((pair.first_not_inferior, pair.second_not_inferior), "-"),
        f"{pair.only_first} : {pair.only_second}",
        p_value(pair.p),
        p_value(pair.p_holm),
    ]


def _difference(found: Difference) -> list[str]:
    if found.value is None:
        return ["-", "-"]
    between = "" if found.ci is None else f" ({100 * found.ci[0]:+.2f} to {100 * found.ci[1]:+.2f})"
    return [
        f"{100 * found.value:+.2f}{between}",
        "-" if found.reversed_share is None else f"{100 * found.reversed_share:.1f} %",
    ]
