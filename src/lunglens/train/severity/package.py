"""`lunglens train severity`: the way that ships, learned from every scored film, as a model package."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from lunglens.errors import DataError
from lunglens.evaluate.run_record import METRICS, RUN
from lunglens.files import read_json
from lunglens.film.model_package.record import SeverityParameters
from lunglens.train.export import export_package
from lunglens.train.provenance import today
from lunglens.train.severity.crossval import CACHE
from lunglens.train.severity.features import BACKBONE, SIZE, LiteStages, zone_features
from lunglens.train.severity.films import scored_films
from lunglens.train.severity.ridge import ZoneRidge
from lunglens.train.severity.zones import SHIPPED, WAYS, fit_way

_STAGE = 4
_LEAST_CORRELATION = 0.7  # with the radiologists' mean sum, out of fold, or nothing is shipped


class SeverityGraph(nn.Module):
    """The trunk, and a ridge's weights as a convolution of one pixel: means over zones of its two maps are scores."""

    outputs = ("maps",)

    def __init__(self, trunk: LiteStages, ridge: ZoneRidge) -> None:
        super().__init__()
        self.trunk = trunk
        self.last = nn.Conv2d(len(ridge.own), 2, 1, bias=False)
        with torch.no_grad():
            self.last.weight.copy_(torch.from_numpy(np.stack([ridge.own, ridge.shared]))[:, :, None, None])

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(N, 1, S, S), 0..1 -> (N, 2, h, w): see `lunglens.film.severity.zone_scores`."""
        return (self.last(self.trunk(images)[0]),)


def export_severity(data: Path, run: Path, out: Path, console: Console) -> dict[str, Any]:
    """Learn from all scored films, and export with the error that the run `run` measured out of fold.

    Args:
        data: folder that holds the data sets.
        run: finished run of `crossval severity` on these films; what it computed is used again.
        out: folder for the package.
        console: for progress.

    Returns:
        what the run measured against the radiologists' mean.

    Raises:
        DataError: the run is of other films or another system, or its correlation is too low to ship anything.
    """
    films = scored_films(data, run / CACHE, console)
    about, metrics = read_json(run / RUN, "finish crossval severity"), read_json(run / METRICS, "finish it first")
    if about.get("model") != "zones" or about["data"] != films.fingerprint:
        raise DataError(f"{run}: is no run of --system zones on these films; cross-validate them first")
    measured = metrics["ways"][SHIPPED]
    if measured["pearson"] < _LEAST_CORRELATION:
        raise DataError(f"{run}: a correlation of {measured['pearson']} is below {_LEAST_CORRELATION}; not shipped")
    features = WAYS[SHIPPED].features(zone_features(films, run / CACHE, console))
    ridge, _ = fit_way(films, WAYS[SHIPPED], features, np.ones(len(films.table), bool), about["seed"])
    graph = SeverityGraph(LiteStages([_STAGE]), ridge)
    parameters = SeverityParameters(offsets=[round(float(v), 6) for v in ridge.offsets], within=metrics["within"])
    export_package(
        graph,
        out,
        name=f"brixia-lite0-{SIZE}",
        input_size=SIZE,
        parameters=parameters,
        provenance={
            "date": today(),
            "data_fingerprint": films.fingerprint,
            "films": int(films.scored.sum()),
            "groups": len(set(films.groups[films.scored])),
            "trunk": BACKBONE,
            "metrics": {name: metrics[name] for name in ("readers", "consensus", "senior", "junior", "within")}
            | {"repeats": measured},
        },
    )
    return dict(metrics["consensus"])
