"""No film that is tested stands in a fold's training part, whatever it is called there."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunglens.errors import DataError
from lunglens.train.guard import assert_made_of_training, assert_no_copies

IMAGES = np.random.default_rng(0).integers(0, 255, (6, 16, 16), np.uint8)
PARTS = ["train", "train", "validation", "test", "test", "unused"]
TABLE = pd.DataFrame({"image_id": list("abcdef"), "group_id": [f"p{n}" for n in range(6)], "part": PARTS})


def test_films_of_other_patients_are_no_copies() -> None:
    assert_no_copies(TABLE, IMAGES)


def test_a_patient_on_both_sides_is_refused() -> None:
    with pytest.raises(DataError, match="group p3"):
        assert_no_copies(TABLE.assign(group_id=["p0", "p3", "p2", "p3", "p4", "p5"]), IMAGES)


@settings(max_examples=16)
@given(copy=st.sampled_from([0, 1, 2]), of=st.sampled_from([3, 4]), turns=st.integers(0, 3), mirrored=st.booleans())
def test_a_copy_of_a_tested_film_is_refused_mirrored_and_turned_too(
    copy: int, of: int, turns: int, mirrored: bool
) -> None:
    images = IMAGES.copy()
    images[copy] = np.rot90(images[of][:, ::-1] if mirrored else images[of], turns)
    with pytest.raises(DataError, match=f"{'abcdef'[copy]} would be trained on, and is a copy of {'abcdef'[of]}"):
        assert_no_copies(TABLE, images)


def test_copies_among_the_films_that_train_or_are_not_used_are_nobody_s_matter() -> None:
    images = IMAGES.copy()
    images[1], images[5] = images[0], images[3]
    assert_no_copies(TABLE, images)


def test_synthetic_rows_are_made_of_training_films_alone() -> None:
    assert_made_of_training({"a", "b"}, TABLE)
    for stranger in ("c", "d", "z"):
        with pytest.raises(DataError, match=f"made of {stranger}"):
            assert_made_of_training({"a", stranger}, TABLE)


def test_views_in_which_nothing_is_to_be_seen_are_no_copies() -> None:
    assert_no_copies(TABLE, np.zeros_like(IMAGES))
