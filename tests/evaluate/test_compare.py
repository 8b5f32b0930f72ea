"""Comparison of runs: what is refused, and differences whose answer is known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from lunglens.errors import DataError
from lunglens.evaluate.compare import compare, holm, macro_auroc, mcnemar
from lunglens.evaluate.figures.comparison import markdown, write_comparison
from tests.support.run_folder import CLASSES, films, scored, write_run


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    table = films()
    return [
        write_run(tmp_path / "hrnet", scored(table, 3, 1), "hrnet_w18"),
        write_run(tmp_path / "resnet", scored(table, 0.5, 2), "resnet152"),
    ]


def certain(table: pd.DataFrame, wrong: list[int]) -> pd.DataFrame:
    """Probabilities of 0.9 for the true class, but for the films at these rows."""
    right = np.where(np.isin(np.arange(len(table)), wrong), 0.1, 0.9)
    first = np.where(table["class"] == CLASSES[0], right, 1 - right)
    return table.assign(**{f"p_{CLASSES[0]}": first, f"p_{CLASSES[1]}": 1 - first})


def test_the_better_model_is_better_in_nearly_every_draw(two_runs: list[Path]) -> None:
    found = compare(two_runs)
    assert (found.films, found.groups, found.classes) == (120, 60, CLASSES)
    assert [entry.name for entry in found.entries] == ["hrnet_w18", "resnet152"]
    (pair,) = found.pairs
    assert pair.auroc.value is not None
    assert pair.auroc.value > 0.1
    assert pair.auroc.ci is not None
    assert pair.auroc.ci[0] > 0
    assert pair.auroc.reversed_share == 0
    assert pair.p < 0.05
    assert pair.p_holm == pair.p


def test_counts_and_differences_worked_out_by_hand(tmp_path: Path) -> None:
    table = films(40)
    first = write_run(tmp_path / "a", certain(table, wrong=[0]), "a")
    second = write_run(tmp_path / "b", certain(table, wrong=[0, 1, 2, 5, 9, 30]), "b")
    (pair,) = compare([first, second]).pairs
    assert (pair.only_first, pair.only_second) == (5, 0)
    assert pair.accuracy.value == pytest.approx(5 / 40)
    assert pair.p == pytest.approx(2 / 2**5)
    backwards = compare([second, first]).pairs[0]
    assert backwards.accuracy.value == pytest.approx(-5 / 40)
    assert backwards.accuracy.ci == [-end for end in reversed(pair.accuracy.ci or [])]
    assert backwards.accuracy.reversed_share == pair.accuracy.reversed_share


def test_equal_predictions_differ_in_nothing(tmp_path: Path) -> None:
    table = scored(films(), 1, 3)
    runs = [write_run(tmp_path / name, table, name) for name in ("a", "b")]
    (pair,) = compare(runs).pairs
    assert (pair.accuracy.value, pair.accuracy.ci, pair.accuracy.reversed_share) == (0, [0, 0], None)
    assert (pair.auroc.value, pair.auroc.ci) == (0, [0, 0])
    assert (pair.only_first, pair.only_second, pair.p) == (0, 0, 1)


def test_the_interval_is_by_patient_and_not_by_film(tmp_path: Path) -> None:
    table = films(200)
    twice = [row for patient in range(0, 100, 5) for row in (2 * patient, 2 * patient + 1)]
    by_patient = [write_run(tmp_path / name, certain(table, wrong), name) for name, wrong in (("a", []), ("b", twice))]
    alone = table.assign(group_id=table["image_id"])
    by_film = [write_run(tmp_path / f"{n}2", certain(alone, wrong), n) for n, wrong in (("a", []), ("b", twice))]
    widths = []
    for runs in (by_patient, by_film):
        low, high = compare(runs).pairs[0].accuracy.ci or [0, 0]
        widths.append(high - low)
    assert widths[0] > 1.2 * widths[1]


def test_order_of_the_rows_on_disk_does_not_matter(two_runs: list[Path]) -> None:
    before = compare(two_runs).pairs
    file = two_runs[1] / "predictions.csv"
    pd.read_csv(file).sample(frac=1, random_state=0).to_csv(file, index=False)
    assert compare(two_runs).pairs == before


def test_external_films_are_left_out(tmp_path: Path, two_runs: list[Path]) -> None:
    before = compare(two_runs)
    for run in two_runs:
        table = pd.read_csv(run / "predictions.csv", dtype=str)
        outside = table.head(10).assign(fold="external", image_id=[f"other{n}" for n in range(10)])
        pd.concat([table, outside]).to_csv(run / "predictions.csv", index=False)
    after = compare(two_runs)
    assert (after.films, after.pairs) == (before.films, before.pairs)


def test_three_models_have_three_pairs_corrected_together(tmp_path: Path) -> None:
    table = films()
    runs = [write_run(tmp_path / str(n), scored(table, quality, n), f"m{n}") for n, quality in enumerate((3, 1, 0))]
    pairs = compare(runs).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
    assert [pair.p_holm for pair in pairs] == holm([pair.p for pair in pairs])


def test_three_classes_are_compared_by_macro_averages(tmp_path: Path) -> None:
    classes = ["COVID", "pneumonia", "normal"]
    table = films(classes=classes)
    runs = [write_run(tmp_path / str(n), scored(table, n, n, classes), f"m{n}") for n in (4, 1)]
    found = compare(runs)
    assert found.classes == classes
    assert found.pairs[0].auroc.value is not None
    assert found.pairs[0].auroc.value > 0
    text = markdown(found)
    assert "means of each class against the rest" in text
    assert "Beside the paper" not in text


def test_macro_auroc_of_a_missing_class_is_not_a_number() -> None:
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    assert np.isnan(macro_auroc(np.array([0, 1]), scores))
    assert macro_auroc(np.array([0, 1]), scores[:, :2]) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []
    # Holm is never more lenient than Benjamini and Hochberg.
    p = np.random.default_rng(0).random(20)
    assert (np.array(holm(list(p))) >= false_discovery_control(p) - 1e-12).all()


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(3, 3) == 1
    assert mcnemar(1, 7) == pytest.approx(2 * (1 + 8) / 2**8)
    assert mcnemar(7, 1) == mcnemar(1, 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": {"name": "phantom", "fingerprint": "bad"}}, "other study .*f00.* and .*bad"),
        ({"classes": ["non-COVID", "COVID"]}, "other classes"),
        ({"folds": ["0", "1"]}, "other folds"),
        ({"kind": "lungs"}, "of another format"),
        ({"format": 2}, "of another format: format"),
    ],
)
def test_runs_that_share_no_folds_are_refused(two_runs: list[Path], changes: dict[str, object], message: str) -> None:
    file = two_runs[1] / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        compare(two_runs)


def test_an_unfinished_run_is_refused(two_runs: list[Path]) -> None:
    file = two_runs[0] / "run.json"
    begun = json.loads(file.read_text())
    del begun["gflops"]
    file.write_text(json.dumps(begun), encoding="utf-8")
    with pytest.raises(DataError, match="the run is not finished"):
        compare(two_runs)


def test_a_fold_without_predictions_is_refused(two_runs: list[Path]) -> None:
    file = two_runs[0] / "predictions.csv"
    table = pd.read_csv(file, dtype=str)
    table[table["fold"] != "1"].to_csv(file, index=False)
    with pytest.raises(DataError, match=r"other folds \(1\)"):
        compare(two_runs)


@pytest.mark.parametrize(("column", "value"), [("fold", "2"), ("class", "non-COVID"), ("group_id", "p59")])
def test_a_film_that_the_runs_know_differently_is_named(two_runs: list[Path], column: str, value: str) -> None:
    file = two_runs[1] / "predictions.csv"
    table = pd.read_csv(file, dtype=str)
    table.loc[0, column] = value
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match=f"{table.loc[0, 'image_id']} has another {column}"):
        compare(two_runs)


def test_films_of_one_run_only_are_refused(two_runs: list[Path]) -> None:
    file = two_runs[1] / "predictions.csv"
    table = pd.read_csv(file, dtype=str)
    table.loc[0, "image_id"] = "other"
    table.to_csv(file, index=False)
    with pytest.raises(DataError, match="2 films are in one run only"):
        compare(two_runs)


def test_folders_that_are_no_runs_are_refused(tmp_path: Path, two_runs: list[Path]) -> None:
    with pytest.raises(DataError, match=r"run\.json: not there"):
        compare([two_runs[0], tmp_path])
    with pytest.raises(DataError, match="at least two different"):
        compare([two_runs[0], two_runs[0]])
    (two_runs[1] / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        compare(two_runs)


def test_names_tell_runs_of_one_model_apart(tmp_path: Path) -> None:
    table = scored(films(), 1, 0)
    cut = write_run(tmp_path / "cut", table)
    uncut = write_run(tmp_path / "uncut", table, cut=False)
    again = write_run(tmp_path / "again", table)
    twin = write_run(tmp_path / "deep" / "cut", table)
    assert [entry.name for entry in compare([cut, uncut]).entries] == ["resnet152, cut", "resnet152, uncut"]
    assert [entry.name for entry in compare([cut, again]).entries] == ["resnet152 (cut)", "resnet152 (again)"]
    assert [entry.name for entry in compare([cut, twin]).entries] == ["resnet152 (cut) 1", "resnet152 (cut) 2"]


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    table = scored(films(), 1, 0)
    runs = [
        write_run(tmp_path / "a", table, "a", config={"backbone": "a", "optimization": {"epochs": 25}}),
        write_run(
            tmp_path / "b",
            table,
            "b",
            config={"backbone": "b", "optimization": {"epochs": 5}},
            hardware={"machine": "arm64", "cores": 8, "gpus": []},
        ),
    ]
    found = compare(runs)
    assert found.settings == {"backbone": ["a", "b"], "optimization.epochs": [25, 5]}
    text = markdown(found)
    assert "Setting `optimization.epochs` differs (a: 25, b: 5)." in text
    assert "`backbone`" not in text
    assert "different machines" in text


def test_everything_is_written(tmp_path: Path, two_runs: list[Path]) -> None:
    found = compare(two_runs)
    out = tmp_path / "out"
    files = write_comparison(found, out)
    assert sorted(file.name for file in files) == [
        "comparison.json",
        "comparison.md",
        "comparison.tex",
        "confusion.pdf",
        "confusion.svg",
        "measures.pdf",
        "measures.svg",
        "pairs.csv",
        "table7.csv",
    ]
    content = json.loads((out / "comparison.json").read_text())
    assert content["format"] == 1
    assert content["runs"][0]["pooled"]["accuracy"] == found.entries[0].pooled.accuracy
    assert content["pairs"][0]["auroc"]["value"] == found.pairs[0].auroc.value
    table = pd.read_csv(out / "table7.csv")
    assert list(table["model"]) == ["hrnet_w18", "resnet152"]
    assert table.loc[0, "auroc"] == found.entries[0].pooled.auroc
    assert pd.read_csv(out / "pairs.csv").loc[0, "accuracy_value"] == found.pairs[0].accuracy.value
    assert (out / "figures" / "measures.pdf").read_bytes().startswith(b"%PDF-")
    assert r"hrnet\_w18 - resnet152 & " in (out / "comparison.tex").read_text()
    text = (out / "comparison.md").read_text()
    assert "| Table 7, ResNet152 | 94.50 | 95.12 | 94.00 |" in text
    assert "| Table 7, proposed model | 99.26 | 98.53 | 98.82 |" in text
    assert "1.2 | 1.50 | 12 |" in text
    assert "hrnet_w18" in (out / "figures" / "confusion.svg").read_text()


def test_one_patient_has_no_intervals(tmp_path: Path) -> None:
    table = films(24).assign(group_id="p0", fold="0")
    runs = [write_run(tmp_path / name, scored(table, 1, n), name) for n, name in enumerate("ab")]
    found = compare(runs)
    assert found.pairs[0].accuracy.ci is None
    assert found.pairs[0].accuracy.reversed_share is None
    assert write_comparison(found, tmp_path / "out")


def test_a_perfect_score_is_not_taken_for_certainty(tmp_path: Path) -> None:
    table = films()
    runs = [write_run(tmp_path / str(n), certain(table, [0] * n), f"m{n}") for n in (0, 1)]
    found = compare(runs)
    assert found.entries[0].pooled.accuracy_95_ci == [1, 1]
    assert "rule of three" in markdown(found)


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05, 0.3])
def test_not_inferior_is_what_the_interval_leaves_out(two_runs: list[Path], margin: float) -> None:
    (pair,) = compare(two_runs, margin=margin).pairs
    assert pair.auroc.ci is not None
    low, high = pair.auroc.ci
    assert pair.first_not_inferior == (low > -margin)
    assert pair.second_not_inferior == (high < margin)
    if margin == 0.3:
        assert pair.first_not_inferior or pair.second_not_inferior
