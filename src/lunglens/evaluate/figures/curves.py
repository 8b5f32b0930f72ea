"""Learning curves (figure 10 of the paper): loss and accuracy of every epoch, averaged over the folds."""

import io
import re
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lunglens.evaluate.figures.style import BAND, BLUE, ORANGE, RULE, WIDTH_IN
from lunglens.evaluate.predictions import fold_order

_PARTS = {"train": ("training", BLUE), "validation": ("validation", ORANGE)}
_METRIC = re.compile(r"(train|validation)_\w+")


def read_curves(run: Path) -> pd.DataFrame:
    """Lightning's logs of all folds: fold, epoch (from 1), train_loss, validation_loss and what else was logged.

    A fold that was killed has a log of every start; an epoch that a later start has trained again counts as the later
    one has it. Logs that are empty or torn are read as far as they go.
    """
    folders = {path.name: path for path in (run / "folds").glob("*") if path.is_dir()}
    tables = [read_fold(folders[name]).assign(fold=name) for name in fold_order(folders)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["epoch", "fold"])


def read_fold(folder: Path) -> pd.DataFrame:
    """The log of one fold, a row an epoch."""
    starts = {int(path.parent.name.removeprefix("start-")): path for path in folder.glob("log/start-*/metrics.csv")}
    tables = [table for _, path in sorted(starts.items()) if (table := _read_log(path)) is not None]
    if not tables:
        return pd.DataFrame(columns=["epoch"])
    whole = pd.concat([table.assign(start=number) for number, table in enumerate(tables)], ignore_index=True)
    # Training and validation are rows of their own; `last` takes each column's last number.
    by_epoch = whole.groupby(["epoch", "start"]).last().groupby("epoch").last().reset_index()
    return by_epoch.assign(epoch=by_epoch["epoch"].astype(int) + 1)


def _read_log(path: Path) -> pd.DataFrame | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        # A last line without its end was torn by a kill: its last number may lack digits.
        whole = io.StringIO(text[: text.rfind("\n") + 1])
        table = pd.read_csv(whole, on_bad_lines="skip").apply(pd.to_numeric, errors="coerce")
    except pd.errors.EmptyDataError:
        return None
    if "epoch" not in table:
        return None
    found: pd.DataFrame = table[["epoch", *_logged(table)]].dropna(subset=["epoch"])
    return found


def _logged(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if _METRIC.fullmatch(str(name))]


def curves_figure(curves: pd.DataFrame) -> Figure | None:
    """Loss, and accuracy or Dice: lines are means over the folds, bands reach from the lowest fold to the highest."""
    measured = sorted({name.split("_", 1)[1] for name in _logged(curves)} - {"loss"})
    panels = [name for name in ("loss", *measured) if any(_drawable(curves, part, name) for part in _PARTS)]
    if not panels:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, max(2, len(panels))), [*panels, None], strict=False):
        if name is None:
            axes.set_visible(False)
        else:
            _panel(axes, curves, name)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) < 2:
        handles, labels = figure.axes[-1].get_legend_handles_labels()
    folds = curves["fold"].nunique()
    title = f"line: mean of {folds} folds; band: lowest to highest fold" if folds > 1 else "one fold"
    figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, title=title, alignment="left")
    return figure


def _drawable(curves: pd.DataFrame, part: str, name: str) -> bool:
    return f"{part}_{name}" in curves and bool(curves[f"{part}_{name}"].notna().any())


def _panel(axes: Axes, curves: pd.DataFrame, name: str) -> None:
    for part, (label, colour) in _PARTS.items():
        if _drawable(curves, part, name):
            by_epoch = curves.groupby("epoch")[f"{part}_{name}"].agg(["mean", "min", "max"]).dropna()
            marker = "o" if len(by_epoch) == 1 else None
            axes.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=BAND, linewidth=0)
            axes.plot(by_epoch.index, by_epoch["mean"], color=colour, linewidth=1.8, label=label, marker=marker)
    axes.set(xlabel="epoch", title="Dice" if name == "dice" else name.replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=RULE, linewidth=0.5)
