"""Agreement on the Brixia score, against scikit-learn and against answers that are known."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from lunglens.evaluate.brixia import READERS, read_readers
from lunglens.evaluate.figures.severity import grades_figure, sums_figure
from lunglens.evaluate.figures.style import save_svg
from lunglens.evaluate.severity import agreement, confusion, half_width, readers_agreement, weighted_kappa
from lunglens.film.severity import ZONES

GENERATOR = np.random.default_rng(0)
SENIOR = GENERATOR.integers(0, 4, (40, 6)).astype(float)
JUNIOR = np.clip(SENIOR + GENERATOR.integers(-1, 2, (40, 6)), 0, 3)
GROUPS = np.array([f"patient {number // 2}" for number in range(40)])


@pytest.mark.parametrize(("power", "weights"), [(1, "linear"), (2, "quadratic")])
def test_weighted_kappa_is_scikit_learns(power: int, weights: str) -> None:
    first, second = SENIOR.astype(int), JUNIOR.astype(int)
    ours = weighted_kappa(first, second, 4, power)
    assert ours == pytest.approx(cohen_kappa_score(first.ravel(), second.ravel(), weights=weights))


def test_raters_who_always_say_the_same_have_no_kappa() -> None:
    assert np.isnan(weighted_kappa(np.ones(5, int), np.ones(5, int), 4, 1))


def test_scores_agree_wholly_with_themselves_and_a_shift_is_a_bias() -> None:
    same = agreement(SENIOR, SENIOR, GROUPS)
    assert (same["zone_kappa_linear"], same["sum_kappa_quadratic"], same["pearson"], same["zone_mae"]) == (1, 1, 1, 0)
    lower = np.minimum(SENIOR, 2)
    shifted = agreement(lower + 0.5, lower, GROUPS)
    assert (shifted["sum_bias"], shifted["sum_mae"], shifted["pearson"]) == (3, 3, 1)
    assert shifted["groups"] == 20


def test_two_readers_intervals_hold_the_value() -> None:
    found = readers_agreement(SENIOR, JUNIOR, GROUPS)
    for name in ("zone_kappa_linear", "zone_kappa_quadratic", "sum_kappa_quadratic", "pearson", "zone_mae"):
        low, high = found[f"{name}_95_ci"]
        assert low < found[name] < high
    assert found["zone_mae_by_zone"].keys() == set(ZONES)


def test_half_of_the_interval_holds_its_share_of_films() -> None:
    truth = np.zeros((99, 6))
    called = truth.copy()
    called[:, 0] = np.arange(99) / 100
    assert half_width(called, truth) == pytest.approx(0.94)
    assert half_width(called[:3], truth[:3]) == pytest.approx(0.02)  # too few films: the worst of them


def test_a_confusion_counts_every_zone_once() -> None:
    counts = confusion(JUNIOR, SENIOR)
    assert counts.sum() == SENIOR.size
    assert counts.sum(axis=1).tolist() == np.bincount(SENIOR.astype(int).ravel(), minlength=4).tolist()


def test_the_figures_say_how_well_they_agree(tmp_path: Path) -> None:
    metrics = {
        "consensus": agreement(JUNIOR, SENIOR, GROUPS),
        "readers": agreement(SENIOR, JUNIOR, GROUPS),
        "within": 4.0,
    }
    [sums] = save_svg(tmp_path / "sums.svg", sums_figure, JUNIOR, SENIOR, JUNIOR, metrics)
    [grades] = save_svg(tmp_path / "grades.svg", grades_figure, JUNIOR, SENIOR, JUNIOR)
    assert f"correlation {metrics['readers']['pearson']:.2f}" in sums.read_text()
    assert str(confusion(JUNIOR, SENIOR)[0, 0]) in grades.read_text()


@pytest.mark.data
def test_the_two_published_readers_agree_well_on_the_sum(real_data: Path) -> None:
    table = read_readers(real_data / "covid-chestxray-dataset" / "brixia-scores.csv")
    senior, junior = (table[[f"{reader}-{zone}" for zone in ZONES]].to_numpy() for reader in READERS)
    assert readers_agreement(senior, junior, np.arange(len(table)))["pearson"] == pytest.approx(0.87, abs=0.02)
