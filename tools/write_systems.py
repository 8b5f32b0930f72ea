"""Write docs/systems.md and its pictures from the presets' facts and from results/systems.

python tools/write_systems.py
"""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from draw_systems import drawn
from draw_systems import main as draw
from jinja2 import Environment, StrictUndefined

from lunglens.files import markdown_table
from lunglens.study.config import Config, shipped_systems
from lunglens.study.config.system import PrintedResult, SystemFacts
from lunglens.train.systems.parameters import parameters_of

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "systems.md", ROOT / "results" / "systems"
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


def ours(presets: list[str], rows: list[dict[str, Any]]) -> str:
    """What our runs of these presets have found, or how to make them."""
    found = [row for row in rows if row["preset"] in presets]
    if not found:
        return f"Not yet run here: `lunglens crossval classifier STUDY --system {presets[0]} --out RUN`."
    cells = [[str(cell) for cell in row.values()] for row in found]
    return "\n\n" + table(tuple(found[0]), cells)


def main() -> None:
    draw()
    pictures, systems = drawn(), shipped_systems()
    file = RESULTS / "table.json"
    rows = json.loads(file.read_text()) if file.exists() else []
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
                "ours": ours(list(presets), rows),
            }
        )
    misquotes = [[p["facts"].title, p["facts"].quoted, p["facts"].misquote] for p in pages if p["facts"].misquote]
    text = environment.from_string((Path(__file__).parent / "systems.md.jinja").read_text()).render(
        systems=pages, misquotes=table(("system", "the paper says", "but"), misquotes), table=""
    )
    PAGE.write_text(text + "\n")


if __name__ == "__main__":
    main()
