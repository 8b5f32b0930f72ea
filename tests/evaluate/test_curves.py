"""Learning curves and curves of scores: what is drawn is what was measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as judge

from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.figures.curves import curves_figure, read_curves, read_fold
from lunglens.evaluate.figures.scores import (
    GRID,
    precision_on_grid,
    precision_recall_points,
    roc_figure,
    roc_on_grid,
    roc_points,
)
from lunglens.evaluate.run_record import ClassifierMetrics
from tests.support.crossval_run import log_of, texts
from tests.support.predictions import TWO, predictions

THREE = ("covid", "pneumonia", "normal")


pytestmark = pytest.mark.usefixtures("house_style")


# Learning curves


def test_a_later_start_overrides_the_epochs_it_trained_again(tmp_path: Path) -> None:
    log_of(tmp_path, 0, range(5), loss=0)
    log_of(tmp_path, 10, range(4, 6), loss=1000)
    log_of(tmp_path, 2, range(3, 6), loss=100)  # start 2 comes before start 10
    found = read_fold(tmp_path)
    assert found["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found["train_loss"].tolist() == [0, 1, 2, 103, 1004, 1005]
    assert found["validation_loss"].tolist() == [0.5, 1.5, 2.5, 103.5, 1004.5, 1005.5]


def test_a_log_torn_by_a_kill_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    with log_of(tmp_path, 0, range(3), loss=0).open("a") as log:
        log.write("3,9,0.")  # of 0.123, say
    empty = tmp_path / "log" / "start-1" / "metrics.csv"
    empty.parent.mkdir()
    empty.touch()
    found = read_fold(tmp_path)
    assert found["train_loss"].tolist() == [0, 1, 2]
    assert found["validation_loss"].tolist() == [0.5, 1.5, 2.5]


def test_curves_are_means_of_the_folds_between_the_lowest_and_the_highest(tmp_path: Path) -> None:
    for fold, loss in (("0", 1.0), ("1", 2.0), ("10", 6.0)):
        log_of(tmp_path / "folds" / fold, 0, range(3), loss)
    curves = read_curves(tmp_path)
    assert curves["fold"].unique().tolist() == ["0", "1", "10"]
    figure = curves_figure(curves)
    assert figure is not None
    loss, accuracy = figure.axes
    training, validation = loss.lines
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert training.get_ydata().tolist() == [3, 4, 5]
    assert validation.get_ydata().tolist() == [3.5, 4.5, 5.5]
    band = loss.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 8)
    assert [line.get_label() for line in accuracy.lines] == ["validation"]
    assert accuracy.get_title() == "accuracy"
    assert "mean of 3 folds" in texts(figure)


def test_a_run_without_logs_has_no_curves(tmp_path: Path) -> None:
    assert curves_figure(read_curves(tmp_path)) is None
    (tmp_path / "folds" / "0").mkdir(parents=True)
    assert curves_figure(read_curves(tmp_path)) is None


# Curves of scores


@pytest.mark.parametrize("seed", range(8))
def test_points_of_both_curves_are_scikit_learn_s(seed: int) -> None:
    generator = np.random.default_rng(seed)
    positive = np.append([True, False], generator.random(40) < 0.4)
    score = generator.integers(0, 12, 42) / 12
    x, y, _ = judge.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(roc_points(positive, score), (x, y))
    precision, recall, _ = judge.precision_recall_curve(positive, score)
    ours = precision_recall_points(positive, score)
    np.testing.assert_allclose(ours[0][1:], recall[:-1][::-1])
    np.testing.assert_allclose(ours[1][1:], precision[:-1][::-1])
    # The areas under what is drawn are the printed ones.
    assert np.trapezoid(y, x) == pytest.approx(judge.roc_auc_score(positive, score))
    steps = (np.diff(ours[0]) * ours[1][1:]).sum()
    assert steps == pytest.approx(judge.average_precision_score(positive, score))


def test_a_band_s_grid_lies_on_the_curve() -> None:
    x, y = np.array([0, 0, 0.25, 0.25, 1]), np.array([0, 0.5, 0.5, 0.75, 1])
    on = dict(zip(GRID.round(2), roc_on_grid((x, y)), strict=True))
    assert (on[0.0], on[0.1], on[0.25], on[0.55], on[1.0]) == pytest.approx((0.5, 0.5, 0.75, 0.85, 1))
    at = precision_on_grid((np.array([0, 0.5, 1]), np.array([1, 1, 0.6])))
    assert (at[0], at[50], at[51], at[100]) == (1, 1, 0.6, 0.6)


def test_a_roc_figure_has_every_fold_all_films_and_the_external_ones(
    table: pd.DataFrame, metrics: ClassifierMetrics
) -> None:
    figure = roc_figure(table, TWO, metrics)
    assert figure is not None
    (axes,) = figure.axes
    *folds, pooled, external, _ = axes.lines
    assert len(folds) == 4
    inside = table[table["fold"] != "external"]
    expected = judge.roc_curve(inside["class"] == "covid", inside["p_covid"], drop_intermediate=False)
    np.testing.assert_allclose(pooled.get_ydata(), expected[1])
    low, high = metrics.pooled.auroc_95_ci
    assert pooled.get_label().endswith(f"AUROC {metrics.pooled.auroc:.3f} ({low:.3f} to {high:.3f})")
    assert f"AUROC {metrics.external['all'].auroc:.3f}" in external.get_label()
    band = axes.collections[0].get_paths()[0].vertices
    middle = roc_on_grid((pooled.get_xdata(), pooled.get_ydata()))[50]
    at_half = band[np.isclose(band[:, 0], 0.5), 1]
    assert at_half.min() <= middle <= at_half.max()


def test_three_classes_have_a_panel_each() -> None:
    table = predictions(120, THREE, folds=2)
    metrics = metrics_of(table, THREE)
    figure = roc_figure(table, THREE, metrics)
    assert figure is not None
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == [f"{name} against the rest" for name in THREE]
    area = metrics.pooled.one_vs_rest["pneumonia"].auroc
    assert f"AUROC {area:.3f}" in shown[1].lines[2].get_label()


def test_films_of_one_class_have_no_roc_curve() -> None:
    table = predictions(60, TWO)
    table = table[table["class"] == "covid"]
    assert roc_figure(table, TWO, metrics_of(table, TWO)) is None
