"""Distance from the training: about 1 of films like it, more of others, and the same in torch and in the package."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lunglens.train.networks.familiar import Familiarity


def features(n: int, width: int, seed: int, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of two classes, along a few directions much wider than along the others."""
    generator = np.random.default_rng(seed)
    classes = np.arange(n) % 2
    wide = np.where(np.arange(width) < 3, 5.0, 0.1)
    found = generator.normal(0, 1, (n, width)) * wide + 4 * classes[:, None] + shift
    return torch.from_numpy(found), torch.from_numpy(classes)


def test_films_like_those_of_the_training_are_near_and_others_far() -> None:
    familiar = Familiarity.of(*features(600, 50, 0))
    like = familiar(features(300, 50, 1)[0].float())
    assert float(like.square().mean()) == pytest.approx(1, abs=0.15)
    # Beside all that varied in training, by a tenth of what did: too little to see in the wide directions.
    odd = features(300, 50, 2)[0]
    odd[:, 10] += 3
    assert float((familiar(odd.float()) > like.max()).float().mean()) > 0.95


@given(st.integers(2, 40), st.integers(4, 60), st.integers(0, 100))
def test_few_films_or_features_give_numbers(n: int, width: int, seed: int) -> None:
    found = Familiarity.of(*features(n, width, seed))(features(5, width, seed + 1)[0].float())
    assert found.shape == (5,)
    assert torch.isfinite(found).all()
    assert (found >= 0).all()
