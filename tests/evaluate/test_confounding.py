"""Does the source, or the metadata, give the class away?"""

import numpy as np
import pandas as pd
import pytest

from lunglens.evaluate.confounding import (
    CONSTANT,
    FILE_FEATURES,
    FOLDS,
    audit_confounding,
    cramers_v,
    grouped_folds,
    metadata_auc,
    metadata_features,
    share_single_class,
    source_by_class,
)
from lunglens.study.report.worth import feature_name, worth_of


def images(n: int = 120, seed: int = 0, **columns: object) -> pd.DataFrame:
    """Films of two classes, two sources and 3 films a patient, where nothing tells the class; `columns` replace."""
    generator = np.random.default_rng(seed)
    label = np.array(["covid", "other"])[np.arange(n) // 3 % 2]
    table = pd.DataFrame(
        {
            "class": label,
            "source": generator.choice(["a", "b"], n),
            "group_id": [f"p{index // 3}" for index in range(n)],
            "width_px": generator.integers(400, 600, n).astype(float),
            "height_px": generator.integers(400, 600, n).astype(float),
            "bits": 8.0,
            "border_px": generator.integers(0, 20, n).astype(float),
            "original_width_px": np.nan,
            "original_height_px": np.nan,
            "view": generator.choice(["PA", "AP"], n),
            "age_years": generator.integers(20, 80, n).astype(float),
            "sex": generator.choice(["F", "M"], n),
        }
    )
    return table.assign(**columns)


def confounded(n: int = 120) -> pd.DataFrame:
    """Every covid film from one place with one size, every other film from another."""
    table = images(n)
    covid = table["class"] == "covid"
    return table.assign(
        source=np.where(covid, "a", "b"), width_px=np.where(covid, 300, 512), height_px=np.where(covid, 280, 512)
    )


# --- source by class


def test_the_table_counts_every_source_and_class_also_where_there_is_none() -> None:
    table = source_by_class(confounded(12), ["covid", "other", "never"])
    assert table.to_dict("index") == {
        "a": {"covid": 6, "other": 0, "never": 0},
        "b": {"covid": 0, "other": 6, "never": 0},
    }


def test_v_is_one_where_the_source_tells_the_class_and_near_zero_where_it_does_not() -> None:
    perfect = cramers_v(pd.DataFrame([[40, 0], [0, 60]]))
    assert (perfect.v, perfect.corrected) == (1.0, 1.0)
    nothing = cramers_v(pd.DataFrame([[50, 50], [50, 50]]))
    assert (nothing.v, nothing.corrected) == (0.0, 0.0)


def test_the_bias_correction_takes_away_what_chance_gives_small_tables() -> None:
    generator = np.random.default_rng(0)
    drawn = [cramers_v(pd.DataFrame(generator.multinomial(60, [1 / 12] * 12).reshape(6, 2))) for _ in range(50)]
    plain = np.mean([found.v for found in drawn])
    corrected = np.mean([found.corrected for found in drawn])
    assert plain > 0.2  # although rows and columns are independent
    assert corrected < 0.1


def test_v_of_a_known_table_is_that_of_the_formula() -> None:
    # chi2 = 100 * (30*40 - 10*20)^2 / (40*60*50*50) = 16.667; V = sqrt(16.667 / 100)
    assert cramers_v(pd.DataFrame([[30, 10], [20, 40]])).v == pytest.approx(0.4082, abs=1e-4)


@pytest.mark.parametrize("counts", [[[3, 4]], [[3], [4]], [[3, 4], [0, 0]], [[3, 0], [4, 0]]])
def test_with_one_source_or_one_class_v_is_not_defined(counts: list[list[int]]) -> None:
    assert cramers_v(pd.DataFrame(counts)).v is None


def test_the_share_of_images_from_one_class_sources() -> None:
    assert share_single_class(pd.DataFrame([[30, 0], [10, 10], [0, 50]])) == 0.8
    assert share_single_class(pd.DataFrame([[5, 5], [1, 9]])) == 0.0


# --- metadata


def test_a_size_that_tells_the_class_is_found_and_named() -> None:
    audit = metadata_auc(confounded())
    assert audit.file.auc is not None and audit.file.auc > 0.99
    assert audit.worst is not None and audit.worst.features[0] in {"width_px", "height_px"}
    alone = {guess.features[0]: guess.auc for guess in audit.alone}
    assert 0.25 < alone["border_px"] < 0.75  # tells nothing, and is not blamed


def test_where_nothing_tells_the_class_the_interval_holds_one_half() -> None:
    found = metadata_auc(images(240, seed=4)).file
    assert found.auc_95_ci is not None and found.auc is not None
    low, high = found.auc_95_ci
    assert low < 0.5 < high
    assert low < found.auc < high


def test_where_nothing_tells_the_class_no_draw_of_films_looks_as_if_something_did() -> None:
    found = [metadata_auc(images(120, seed=seed)).file for seed in range(4)]
    assert all(guess.auc_95_ci is not None and guess.auc_95_ci[0] < 0.5 for guess in found)


def test_unknown_cells_are_no_error_and_being_unknown_can_tell_the_class() -> None:
    table = images()
    covid = table["class"] == "covid"
    table["age_years"] = table["age_years"].where(~covid)
    table["view"] = table["view"].where(np.arange(len(table)) % 4 > 0, None)
    table["width_px"] = np.nan
    audit = metadata_auc(table)
    alone = {guess.features[0]: guess for guess in audit.alone}
    assert alone["age stated"].auc == pytest.approx(1.0)
    assert alone["width_px"].auc is None and alone["width_px"].why_not == CONSTANT
    assert alone["view"].auc is not None
    assert audit.patient.auc == pytest.approx(1.0)


def test_original_sizes_count_as_metadata_of_the_file_only_where_all_are_known() -> None:
    table = images(original_width_px=2000.0, original_height_px=2500.0)
    assert "original_width_px" in {guess.features[0] for guess in metadata_auc(table).alone}
    table.loc[0, "original_width_px"] = np.nan
    names = {guess.features[0] for guess in metadata_auc(table).alone}
    assert "original_width_px" not in names
    assert "original size stated" in names


def test_the_aspect_ratio_is_width_by_height() -> None:
    features = metadata_features(images(12, width_px=600.0, height_px=400.0))
    assert (features["aspect"] == 1.5).all()


def test_three_classes_are_each_held_against_the_rest() -> None:
    table = images(180)
    table["class"] = np.array(["a", "b", "c"])[np.arange(180) // 3 % 3]
    table["width_px"] = table["class"].map({"a": 100.0, "b": 200.0, "c": 300.0})
    assert metadata_auc(table).file.auc == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert metadata_auc(images(), seed=5) == metadata_auc(images(), seed=5)


def test_no_group_is_on_two_sides_of_a_fold_and_every_image_is_tested_once() -> None:
    table = images()
    folds = pd.Series(grouped_folds(table, seed=0))
    assert set(folds) == set(range(5))
    assert (folds.groupby(table["group_id"].to_numpy()).nunique() == 1).all()


def test_a_patient_s_number_of_films_does_not_leak_the_class() -> None:
    # Each patient's films share a width that says who it is, and nothing of the class: split by image, it would.
    table = images(240, seed=2)
    table["width_px"] = table["group_id"].map(
        {name: float(i * 7919 % 997) for i, name in enumerate(table["group_id"].unique())}
    )
    guess = next(guess for guess in metadata_auc(table).alone if guess.features == ("width_px",))
    assert guess.auc is not None and guess.auc < 0.7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"class": "covid"}, "one class only"),
        ({"group_id": ""}, f"0 known groups (patients), {FOLDS} folds need {FOLDS}"),
        ({"group_id": ["x", "y"] * 60}, f"2 known groups (patients), {FOLDS} folds need {FOLDS}"),
    ],
)
def test_what_cannot_be_tested_is_said_instead_of_a_number(change: dict[str, object], reason: str) -> None:
    found = metadata_auc(images(**change)).file
    assert found.auc is None and found.auc_95_ci is None
    assert found.why_not is not None and reason in found.why_not


def test_films_whose_patient_is_unknown_are_left_out_and_counted() -> None:
    table = confounded()
    table["group_id"] = table["group_id"].astype(object).where(table.index >= 4, None)
    table.loc[4, "group_id"] = ""
    audit = metadata_auc(table)
    assert audit.without_group == 5
    assert audit.file.auc is not None and audit.file.auc > 0.99


# --- words


def test_a_confounded_set_is_called_so() -> None:
    words = worth_of(audit_confounding(confounded(), ["covid", "other"]))
    assert words.verdict == "place"
    assert "where a film comes from" in words.headline
    assert any("All images come from a source that holds one class only" in text for text in words.because)
    assert any("give the class away: AUC 1.00" in text for text in words.because)
    assert "covid and other have one source each" in words.instead


def test_a_set_in_which_nothing_tells_the_class_is_called_fair_but_not_general() -> None:
    words = worth_of(audit_confounding(images(240, seed=4), ["covid", "other"]))
    assert words.verdict == "fair"
    assert "another hospital" in words.would_not_mean
    assert "a (" in words.instead and "b (" in words.instead  # both sources hold both classes


def test_one_hospital_with_both_classes_is_fair_although_v_is_not_defined() -> None:
    audit = audit_confounding(images(240, seed=4, source="a"), ["covid", "other"])
    assert audit.association.v is None
    assert worth_of(audit).verdict == "fair"
    assert any("There is one source" in text for text in worth_of(audit).because)


def test_a_size_that_tells_the_class_within_one_hospital_is_still_a_giveaway() -> None:
    words = worth_of(audit_confounding(confounded().assign(source="a"), ["covid", "other"]))
    assert words.verdict == "place"


def test_a_partly_confounded_set_is_mixed() -> None:
    table = images(240, seed=4)
    covid = (table["class"] == "covid").to_numpy()
    table["source"] = np.where(
        np.arange(240) % 3 == 0, np.where(covid, "a", "b"), np.where(np.arange(240) % 2, "a", "b")
    )
    words = worth_of(audit_confounding(table, ["covid", "other"]))
    assert words.verdict == "mixed"
    assert any("moderate association" in text for text in words.because)


def test_a_set_that_could_not_be_tested_is_never_called_fair() -> None:
    untested = images(240, seed=4, group_id="")
    assert worth_of(audit_confounding(untested, ["covid", "other"])).verdict == "mixed"


def test_with_one_class_no_score_is_possible() -> None:
    words = worth_of(audit_confounding(images(**{"class": "covid"}), ["covid", "other"]))
    assert words.verdict == "no score"
    assert "other" in words.instead


def test_every_feature_has_a_name_that_a_reader_knows() -> None:
    assert all(feature_name(name) != name for name in FILE_FEATURES if name != "view")
