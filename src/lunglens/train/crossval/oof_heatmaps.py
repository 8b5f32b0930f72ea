"""Out-of-fold heat-maps: every film through the model of the fold that tested it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from lunglens.errors import DataError
from lunglens.evaluate.predictions import EXTERNAL
from lunglens.evaluate.run_record import read_classifier_run
from lunglens.film.heatmap import heat_of_activation, heat_of_evidence
from lunglens.film.parameters import View
from lunglens.film.preprocess import Floats, Mask, bounding_box
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.classifier import load_trained, shown
from lunglens.train.crossval.classifier import FILMS, VALIDATION, outputs_of
from lunglens.train.crossval.run_folder import gather
from lunglens.train.networks.classifier import Classifier
from lunglens.train.views import read_views

BATCH = 16
RANDOMISED = {"head": 0.0, "head and last third of the layers": 1 / 3, "all layers": 1.0}


@dataclass(frozen=True, eq=False)
class HeatRun:
    """A finished run of `crossval classifier` and what its films look like to it.

    table: the films of the numbered folds, in the order of `films.csv`, with `row` (their place in the views).
    """

    folder: Path
    classes: list[str]
    fingerprint: str
    config: ClassifierConfig
    table: pd.DataFrame

    @property
    def folds(self) -> list[str]:
        """Names of the folds."""
        return sorted(set(self.table["fold"]), key=int)


def read_heat_run(folder: Path) -> HeatRun:
    """Read a run folder.

    Raises:
        DataError: it is no finished cross-validation of a classifier.
    """
    about = read_classifier_run(folder)
    if about.folds == [VALIDATION]:
        raise DataError(f"{folder}: is no cross-validation: its films were trained on")
    table = pd.read_csv(folder / FILMS, dtype=str, keep_default_na=False)
    table["row"] = np.arange(len(table))
    tested = table[table["fold"].isin(about.folds)].reset_index(drop=True)
    config = ClassifierConfig.of_run(about.config)
    return HeatRun(folder, about.classes, about.study.fingerprint, config, tested)


def heat_maps(run: HeatRun, region_of: Mapping[str, Mask], *, of_opacity: bool = False) -> Iterator[tuple[str, Floats]]:
    """(image_id, heat) of every film, fold after fold.

    Args:
        run: its models explain its films.
        region_of: image_id -> the processed lung mask of the whole film, (film_size, film_size) of the run's view; it
            tells where the classifier's view lies.
        of_opacity: of the second answer, that there is any opacity, in place of the first class.

    Yields:
        heat (h, w), >= 0, of the whole film: where evidence for it comes from.
    """
    for fold in run.folds:
        classifier = load_classifier(run, fold)
        films = run.table[run.table["fold"] == fold]
        maps = heat_of(classifier, run, films["row"].to_numpy(np.int64), of_opacity=of_opacity)
        for image_id, heat in zip(films["image_id"], maps, strict=True):
            yield image_id, on_whole_film(heat, region_of[image_id], run.config.view)


def load_classifier(run: HeatRun, fold: str) -> Classifier:
    """The network that the fold has trained.

    Raises:
        DataError: it has no trunk and head, whose layers can be made random one after the other.
    """
    if run.config.network != "trunk":
        raise DataError(f"{run.folder}: trained {run.config.called}; only a trunk and head can be explained")
    network = load_trained(run.config, run.folder / "folds" / fold, outputs_of(run.classes)).classifier
    return cast("Classifier", network)


def heat_of(classifier: Classifier, run: HeatRun, rows: NDArray[np.int64], *, of_opacity: bool = False) -> list[Floats]:
    """Grad-CAM (h, w), >= 0, in the classifier's view of these rows of the run's views."""
    views = read_views(run.folder)
    found: list[Floats] = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            chosen = rows[start : start + BATCH]
            images = torch.from_numpy(np.array(views.images[chosen]))[:, None].float() / 255
            masks = torch.from_numpy(np.array(views.masks[chosen]))[:, None].float()
            given = shown(images, masks, run.config.view)
            heat = classifier.opacity_heat(given) if of_opacity else classifier.answer(given)[1]
            assert heat is not None  # noqa: S101 - only a network whose layers have places comes here
            first = heat if heat.ndim == 3 else heat[:, 0]
            found += list(np.asarray(first.clamp_min(0).numpy(), np.float32))
    return found


def on_whole_film(heat: Floats, region: Mask, view: View) -> Floats:
    """Heat of a view that was cropped to the lungs' box, laid onto the whole film; another view's is returned as it is.

    What lies outside the view has no heat.
    """
    box = bounding_box(region, view.crop_margin) if view.crop else (0, 0, *region.shape)
    if view.pool == "region":
        return heat_of_evidence(heat, region, box).at(*region.shape)
    return heat_of_activation(heat, box, view.film_size).at(*region.shape) if view.crop else heat


def randomised(classifier: Classifier, share: float, seed: int) -> Classifier:
    """The classifier with its head and the last `share` (0..1) of its backbone's layers as if never trained.

    Layers are taken from the output backwards (Adebayo et al. 2018, cascading randomisation). Changed in place.
    """
    torch.manual_seed(seed)
    layers = [layer for layer in classifier.streams.modules() if _has_weights(layer)]
    first = len(layers) - round(share * len(layers))
    for layer in [*layers[first:], *classifier.layers]:
        layer.reset_parameters()
    return classifier


def out_of_fold(run: HeatRun) -> "pd.Series[float]":
    """image_id -> probability of the first class, by the model of the film's own fold."""
    predictions = gather(run.folder, run.folds)
    inside = predictions[predictions["fold"] != EXTERNAL].set_index("image_id")
    return inside[f"p_{run.classes[0]}"]


def _has_weights(layer: nn.Module) -> bool:
    return hasattr(layer, "reset_parameters") and any(True for _ in layer.parameters(recurse=False))
