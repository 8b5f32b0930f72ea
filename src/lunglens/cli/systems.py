"""The command line's verb that lists the earlier systems."""

from typing import TYPE_CHECKING, Any

import typer

from lunglens.cli.options import AsJson, answer

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer()


@app.command()
def systems(as_json: AsJson = False) -> None:
    """List the twelve earlier systems of the paper's table 1, for `crossval classifier --system PRESET`.

    --json says everything that is known of each.
    """
    import sys

    from rich.console import Console

    found = _presets()
    if as_json:
        answer((), found, as_json)
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(found))


def _presets() -> list[dict[str, Any]]:
    """Of each preset its name, parameters (all, and those that learn; None without a network), and what is known."""
    from lunglens.study.config import shipped_systems
    from lunglens.train.systems.parameters import parameters_of

    rows = []
    for preset, config in shipped_systems().items():
        assert config.system is not None  # noqa: S101 - each has its facts
        every, learning = parameters_of(config.classifier) or (None, None)
        counts = {"preset": preset, "parameters": every, "parameters_that_learn": learning}
        rows.append(counts | {"begins": config.classifier.pretrained} | config.system.model_dump())
    return rows


def _table(presets: list[dict[str, Any]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    table.add_column("", justify="right")
    table.add_column("preset", no_wrap=True)
    table.add_column("system")
    table.add_column("parameters", justify="right")
    table.add_column("the original began from")
    table.add_column("what is built is")
    for before, row in zip([None, *presets], presets, strict=False):
        first = before is None or before["number"] != row["number"]
        said = (str(row["number"]), f"{row['title']} ({row['year']}): {row['kind']}") if first else ("", "")
        count = "-" if row["parameters"] is None else f"{row['parameters'] / 1e6:,.2f} M"
        table.add_row(said[0], row["preset"], said[1], count, row["began"], row["sureness"])
    return table
