"""By which rule a source's masks are drawn, until the readers of `lunglens.study.sources` say it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lunglens.study.manifest import Row
from lunglens.study.sources.lung_masks import with_masks

_REGION = ("covid-chestxray-dataset", "kermany-v7")


def ruled(rows: Iterable[Row], data: Path) -> Iterator[Row]:
    """Rows with `mask_rule` "fields" or "region" where there is a mask; V7's are joined to their films."""
    every = list(rows)
    v7 = data / "covid-chestxray-dataset" / "lung-masks-v7"
    if v7.is_dir() and any(row.source == _REGION[0] for row in every):
        every = list(with_masks(every, v7))
    for row in every:
        yield replace(row, mask_rule="region" if row.source in _REGION else "fields") if row.masks else row
