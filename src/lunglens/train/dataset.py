"""A study's films as a torch Dataset, for a training loop of one's own."""

from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lunglens.film.parameters import View
from lunglens.film.preprocess import network_input
from lunglens.study.folder import Study
from lunglens.study.folds import parts_of
from lunglens.train.crossval.classifier import VALIDATION
from lunglens.train.fit import folded_films
from lunglens.train.views import view_of

_WHOLE = View()


class StudyDataset(Dataset[tuple[Tensor, int]]):
    """Film and number of its class, decoded when asked for, as the classifiers of `fit` and `crossval` see them.

    >>> films = StudyDataset(load_study(Path("studies/mine")), "train", fold="0")  # doctest: +SKIP
    >>> image, number = films[0]  # doctest: +SKIP

    Args:
        study: `lunglens.study.folder.load_study(folder)`.
        part: "all", or a part of the division by patient that `fit` makes or, with a fold, `crossval`.
        view: size, cut, crop and equalisation of the image.
        fold: the fold that is tested, of the study's `folds.csv`.
        seed: of the draw of the validation patients.
    """

    def __init__(
        self,
        study: Study,
        part: Literal["all", "train", "validation", "test"] = "all",
        view: View = _WHOLE,
        fold: str | None = None,
        seed: int = 0,
    ) -> None:
        self.study, self.view = study, view
        films = folded_films(study)
        if part != "all":
            films = films[parts_of(films, fold or VALIDATION, seed) == part]
        self.table = study.table.set_index("image_id").loc[films["image_id"]].reset_index()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """(view.channels, S, S) float32, 0..1, and the class's place in `study.classes`."""
        row = self.table.iloc[index]
        image, lungs = view_of(self.study.folder / row["film"], self.study.folder / row["mask"], self.view)
        return torch.from_numpy(network_input(image, lungs, self.view)[0]), self.study.classes.index(row["class"])
