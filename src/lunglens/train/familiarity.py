"""What a run's networks hold for familiar: fitted on the films of their training, judged on those held out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from lunglens.evaluate.predictions import EXTERNAL, UNUSED, cross_validated
from lunglens.film.parameters import View
from lunglens.train.classifier import ClassifierTraining, shown
from lunglens.train.crossval.run_folder import gather
from lunglens.train.model import Model
from lunglens.train.networks.familiar import Familiarity
from lunglens.train.views import Views, read_views

_BATCH = 16


def network_features(model: ClassifierTraining, views: Views, rows: Sequence[int], view: View) -> NDArray[np.float64]:
    """(N, C) pooled features of these rows of the views."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            chosen = np.asarray(rows[start : start + _BATCH])
            images = torch.from_numpy(np.array(views.images[chosen]))[:, None].float() / 255
            masks = torch.from_numpy(np.array(views.masks[chosen]))[:, None].float()
            found.append(model.classifier.eval().answer(shown(images, masks, view))[2].double().numpy())
    return np.asarray(np.concatenate(found), np.float64)


def familiarity_of(
    run: Path, films: pd.DataFrame, folds: Sequence[str], models: Sequence[Model], classes: Sequence[str], view: View
) -> tuple[list[Familiarity], NDArray[np.float64]]:
    """Of each fold's network, and the distances (N,) of the films that it has not seen.

    Args:
        run: folder, with the views of its films.
        films: image_id, class and fold of each, in the order of the views.
        folds: names; `models`: of each its own.
        classes: of the study.
        view: of the run.

    Returns:
        nothing of systems without a network, or where the views are gone.
    """
    networks = [model for model in models if isinstance(model, ClassifierTraining)]
    if len(networks) < len(models) or not (run / "images.npy").is_file():
        return [], np.zeros(0)
    views, found, distances = read_views(run), list[Familiarity](), list[NDArray[np.float64]]()
    inside = ~films["fold"].isin([EXTERNAL, UNUSED]).to_numpy()
    for fold, network in zip(folds, networks, strict=True):
        held_out = films["image_id"].isin(cross_validated(gather(run, [fold]))["image_id"]).to_numpy()
        train = np.flatnonzero(inside & ~held_out)
        codes = torch.from_numpy(films["class"].map(list(classes).index).to_numpy(np.int64)[train])
        features = network_features(network, views, train.tolist(), view)
        found.append(Familiarity.of(torch.from_numpy(features), codes))
        others = network_features(network, views, np.flatnonzero(held_out).tolist(), view)
        distances.append(found[-1](torch.from_numpy(others).float()).double().numpy())
    return found, np.concatenate(distances)
