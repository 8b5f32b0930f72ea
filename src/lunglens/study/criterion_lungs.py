"""The criterion "lungs": every film is read and segmented; what cannot be read, or shows too little lung, goes."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.progress import track

from lunglens.film.parameters import Postprocess
from lunglens.study.config.study import LungsCriterion
from lunglens.study.criteria import Context, Verdict
from lunglens.study.folder import MEASURED
from lunglens.study.prepare import prepare_films
from lunglens.study.sources.registry import Problem


def by_lungs(table: pd.DataFrame, criterion: LungsCriterion, context: Context) -> Verdict:
    """Drops films that cannot be read, and those with less lung than the criterion wants."""
    images = dict(zip(table["image_id"], table["path"].map(Path), strict=True))
    films = prepare_films(images, context.folder, context.lungs, Postprocess())
    shown = track(films, "segmenting", total=len(images), console=context.console)
    measured = pd.DataFrame([asdict(film) for film in shown], index=table.index, columns=[*MEASURED, "error"])
    area, unreadable = measured["lung_px"].astype("Int64"), measured["error"].notna()
    small = (area < criterion.min_area_px).fillna(False).astype(bool)
    reasons = pd.Series("", index=table.index, dtype=object)
    reasons[small] = area[small].map(lambda pixels: f"lungs of {pixels} px")
    reasons[unreadable] = "cannot be read"
    return Verdict(
        reasons,
        pd.Series(False, index=table.index),
        f"readable, processed lung mask of at least {criterion.min_area_px:,} px at 512x512",
        ties=True,
        learned=measured[MEASURED],
        problems=tuple(
            Problem(image, None, None, error)
            for image, error in zip(table["image"], measured["error"], strict=True)
            if isinstance(error, str)
        ),
    )
