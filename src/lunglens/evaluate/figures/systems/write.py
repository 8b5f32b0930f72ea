"""`systems.json`, `.csv`, `.md`, `.tex`, `.svg`, `.png` and `.pdf` of a sweep."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lunglens.evaluate.compare import COSTS
from lunglens.evaluate.figures.style import save_pdf, save_png, save_svg
from lunglens.evaluate.figures.systems.figure import systems_figure
from lunglens.evaluate.figures.systems.grids import Grid, grids_of
from lunglens.evaluate.systems.numbers import Part, Row, Systems
from lunglens.files import save_csv, write_bytes, write_json
from lunglens.text import latex_table, markdown_table

_SAVED = {"svg": save_svg, "png": save_png, "pdf": save_pdf}
_COSTS = (*COSTS, "draws", "train_seconds")


def write_systems(systems: Systems, out: Path) -> list[Path]:
    """Write the table of a sweep into a folder: every number as JSON and CSV, tables as Markdown and LaTeX, a figure.

    Raises:
        OSError: the folder cannot be written.
    """
    json, csv, markdown, tex = (out / f"systems.{ending}" for ending in ("json", "csv", "md", "tex"))
    grids = grids_of(systems)
    write_json(json, _as_json(systems))
    save_csv(pd.DataFrame([_flat(row, words, part) for row in systems.rows for words, part in row.parts.items()]), csv)
    write_bytes(markdown, "\n".join(_markdown(systems, grids)).encode())
    tables = [latex_table(grid.title, grid.caption, grid.head, grid.rows) for grid in grids]
    write_bytes(tex, "\n".join(line for table in tables for line in table).encode())
    drawn = [save(out / f"systems.{kind}", systems_figure, systems) for kind, save in _SAVED.items()]
    return [json, csv, markdown, tex, *(file for files in drawn for file in files)]


def headline(systems: Systems) -> str:
    """How much of the sweep there is."""
    done = len(systems.rows)
    return f"{done} runs" if done == systems.planned else f"{done} of {systems.planned} runs are finished"


def _as_json(systems: Systems) -> dict[str, Any]:
    rows = [
        {
            **row.swept.model_dump(mode="json"),
            "model": row.run.model,
            "classes": row.run.classes,
            **{name: getattr(row.run, name) for name in _COSTS},
            "films": {
                words: {
                    "kind": part.kind,
                    "measures": part.measures.to_json(),
                    **asdict(part.calibration),
                    "against": None if part.against is None else asdict(part.against) | {"p_holm": part.p_holm},
                }
                for words, part in row.parts.items()
            },
        }
        for row in systems.rows
    ]
    return {"format": 1, "reference": systems.reference, "planned": systems.planned, "runs": rows}


def _flat(row: Row, words: str, part: Part) -> dict[str, Any]:
    """A line of `systems.csv`: a run on some films; shares 0..1."""
    swept, measured = row.swept, part.measures
    line: dict[str, Any] = {
        name: getattr(swept, name) for name in ("study", "system", "label", "shown", "seed", "began")
    }
    line |= {"kind": part.kind, "films": words, "n": measured.n, "groups": measured.groups}
    for name in ("auroc", "sensitivity", "specificity", "accuracy"):
        low, high = measured.interval(name) or (None, None)
        line |= {name: measured.value(name), f"{name}_low": low, f"{name}_high": high}
    line |= asdict(part.calibration)
    against = part.against
    low, high = (None if against is None else against.ci) or (None, None)
    line |= {"against": None if against is None else against.value, "against_low": low, "against_high": high}
    line |= {"p": None if against is None else against.p, "p_holm": part.p_holm}
    line |= {name: getattr(row.run, name) for name in _COSTS}
    printed = swept.printed
    names = ("accuracy", "sensitivity", "specificity", "auc", "f1")
    return line | {f"printed_{name}": None if printed is None else getattr(printed, name) for name in names}


def _markdown(systems: Systems, grids: Sequence[Grid]) -> list[str]:
    lines = ["# Systems side by side", "", f"{headline(systems)}.", ""]
    for grid in grids:
        lines += [f"## {grid.title}", "", grid.caption, "", *markdown_table(grid.head, grid.rows), ""]
    return lines
