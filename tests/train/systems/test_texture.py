"""System 4: estimators on descriptors, fitted on training films alone, kept as ONNX, answering as a package."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray
from rich.console import Console

from lunglens.errors import ConfigurationError, DataError
from lunglens.evaluate.run_record import read_run
from lunglens.files import read_json
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed
from lunglens.film.model_package.package import load_package, verify_package
from lunglens.study.config import load_config
from lunglens.study.config.training import ClassifierConfig
from lunglens.study.folder import load_study
from lunglens.study.folds import FoldSettings, write_folds
from lunglens.train import crossval_classifier, export_run, measure_package
from lunglens.train.systems.texture import assert_can_train, load, train
from lunglens.train.systems.texture.clus import Hierarchy, grow, to_classes
from lunglens.train.systems.texture.estimators import fit_estimator
from lunglens.train.systems.texture.joining import joined
from lunglens.train.systems.texture.resampling import _SAMPLERS, counts_of, resample
from lunglens.train.views import read_views
from tests.support.runs import run_here
from tests.support.study_folder import study_folder

CONSOLE = Console(quiet=True)
OPTIONS = {"descriptors": ["ldn", "bsif"], "estimator": "forest", "resampling": "smote"}


def config_with(**options: object) -> ClassifierConfig:
    quick = load_config("quick", ["classifier.network=texture"]).classifier
    return ClassifierConfig.model_validate(quick.model_dump() | {"options": OPTIONS | options})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = study_folder(tmp_path_factory.mktemp("study"), both=True)
    write_folds(load_study(folder), FoldSettings(folds=2))
    out = tmp_path_factory.mktemp("runs") / "texture"
    crossval_classifier(load_study(folder), config_with(), out, run_here, CONSOLE)
    return out


@pytest.fixture(scope="module")
def rows() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """30 of class 0, 12 of 1, 5 of 2, in five dimensions, a little mixed."""
    random = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], [30, 12, 5])
    return (random.normal(size=(47, 5)) + 1.4 * classes[:, None]).astype(np.float32), classes


def test_a_run_is_predicted_out_of_fold_and_describes_each_film_once(run: Path) -> None:
    predictions = pd.read_csv(run / "predictions.csv")
    assert len(predictions) == 24
    assert np.allclose(predictions["p_covid"] + predictions["p_other"], 1)
    assert len(list((run / "features").glob("*.npy"))) == 2
    about = read_run(run)
    assert about.model == "texture"
    assert about.parameters and about.gflops is not None and about.cpu_ms
    (counts,) = read_json(run / "folds" / "0" / "resampling.json", "run it")["estimators"]
    assert sum(one["films"] for one in counts) == 10  # of 12 that are not tested two choose
    assert all(one["kept"] == one["films"] for one in counts)


def test_nothing_is_fitted_on_films_that_do_not_train(run: Path, tmp_path: Path) -> None:
    """Whatever the other films look like, the estimator is the same to the byte."""
    views, config = read_views(run), config_with(resampling="smote-tomek")
    table = pd.read_csv(run / "films.csv", dtype=str, keep_default_na=False)
    table["target"] = (table["class"] == "covid").astype(float)
    table["part"] = np.where(table["fold"] == "0", "test", "train")
    table.loc[table.index[table["part"] == "train"][:2], "part"] = "validation"
    train(table, views, config, tmp_path)
    kept = (tmp_path / "estimator.onnx").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    changed = np.lib.format.open_memmap(other / "images.npy", "w+", np.uint8, views.images.shape)
    changed[:] = np.where((table["part"] == "train").to_numpy()[:, None, None], views.images, 255 - views.images)
    np.save(other / "masks.npy", views.masks)
    (other / "views.txt").write_text("others")
    model = train(table, read_views(other), config, other)
    assert (other / "estimator.onnx").read_bytes() == kept
    assert not np.allclose(model.predict(views, np.arange(24)), model.predict(read_views(other), np.arange(24)))


@pytest.fixture(scope="module")
def package(run: Path) -> Path:
    export_run(run, run.parent / "package", ensemble=True)
    return run.parent / "package"


def test_the_package_answers_as_its_folds_do(run: Path, package: Path) -> None:
    found = load_package(package, "classification")
    assert verify_package(found) == []
    views = read_views(run)
    config = config_with()
    models = [load(config, run / "folds" / fold) for fold in ("0", "1")]
    expected = np.mean([model.predict(views, np.arange(5)) for model in models], 0)
    shown = (views.images[:5] * (views.masks[:5] > 0)).astype(np.float32)[:, None] / 255
    answer = found.run(shown)
    assert np.allclose(answer["probability"], expected, atol=1e-4)
    assert np.allclose(1 / (1 + np.exp(-answer["logit"])), answer["probability"].clip(1e-3, 1 - 1e-3), atol=1e-5)
    assert answer["features"].shape == (5, 56 + 256)
    assert "heat" not in answer


def test_a_film_is_analyzed_with_it(package: Path, chest_png: Path) -> None:
    finding = Analyzer.load(classifier=package).analyze(chest_png)
    assert isinstance(finding, Analyzed)
    assert 0 <= finding.probabilities["covid"] <= 1
    assert finding.heat is None


def test_a_study_is_measured_with_it(run: Path, package: Path, tmp_path: Path) -> None:
    study = load_study(study_folder(tmp_path / "study", 2))
    assert measure_package(load_package(package, "classification"), study, tmp_path / "out", CONSOLE)


@pytest.mark.parametrize("kind", ["knn", "svm", "mlp", "tree", "forest"])
def test_an_estimator_is_the_same_in_onnx(kind: str, rows: tuple, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[type-arg]
    """What is exported is what scikit-learn has fitted, on rows that it has not seen too."""
    from lunglens.train.systems.texture import estimators

    kept = []
    real = estimators._onnx
    monkeypatch.setattr(estimators, "_onnx", lambda pipeline: kept.append(pipeline) or real(pipeline))
    if kind == "svm":
        monkeypatch.setattr(estimators, "product", lambda *_: [("rbf", 1, 0.1), ("poly", 10, 0.1)])
    model, _ = fit_estimator(kind, rows, rows, "smote", None, 0)  # type: ignore[arg-type]
    new = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32) * 2
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(["probabilities"], {"X": new})[0]
    assert np.allclose(found, kept[0].predict_proba(new), atol=1e-5)
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_late_fusion_is_the_mean_the_product_or_the_vote() -> None:
    first, second = [[0.6, 0.4, 0.0], [0.2, 0.3, 0.5]], [[0.1, 0.9, 0.0], [0.3, 0.3, 0.4]]
    answers = np.array([first, second, [[0.5, 0.4, 0.1], [1, 0, 0]]])
    text = """<ir_version: 8, opset_import: ["" : 18]>
    part (float[N,3] X) => (float[N,3] probabilities) { probabilities = Identity(X) }"""
    models = [onnx.parser.parse_model(text)] * 3
    features = np.concatenate(answers, 1).astype(np.float32)
    spans = [(0, 3), (3, 6), (6, 9)]
    product_ = answers.clip(1e-6).prod(0)
    votes = np.array([[2, 1, 0], [1, 0, 2]]) / 3
    expected = {
        "late-sum": answers.mean(0),
        "late-product": product_ / product_.sum(1, keepdims=True),
        "late-vote": votes,
    }
    for fusion, answer in expected.items():
        session = onnxruntime.InferenceSession(joined(models, spans, fusion, 3).SerializeToString())  # type: ignore[arg-type]
        assert np.allclose(session.run(None, {"features": features})[0], answer, atol=1e-6)


@pytest.mark.parametrize("how", _SAMPLERS)
def test_made_rows_lie_between_two_training_films_of_their_class(how: str, rows: tuple) -> None:  # type: ignore[type-arg]
    features, classes = rows
    after, labels = resample(features, classes, how, 0)  # type: ignore[arg-type]
    counts = counts_of(rows, (after, labels))
    assert [one["films"] for one in counts] == [30, 12, 5]
    assert sum(one["kept"] + one["made"] for one in counts) == len(after)
    films = {row.tobytes() for row in features}
    made = [(row, label) for row, label in zip(after, labels, strict=True) if row.tobytes() not in films]
    assert bool(made) == (how not in ("allknn", "enn", "renn", "tomek"))
    if how in ("svm-smote", "borderline-2"):  # the first goes beyond films too, the second towards other classes
        return
    for row, label in made:
        mates = features[classes == label].astype(float)
        ways = mates - row
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        assert (ways @ ways.T).min() == pytest.approx(-1, abs=1e-4)


def test_a_class_of_two_films_has_one_neighbour_and_one_of_one_has_none(rows: tuple) -> None:  # type: ignore[type-arg]
    features, classes = rows
    few = np.flatnonzero((classes < 2) | (np.arange(47) >= 45))
    _, labels = resample(features[few], classes[few], "smote", 0)
    assert np.bincount(labels).tolist() == [30, 30, 30]
    with pytest.raises(DataError, match="or none"):
        resample(features[few[:-1]], classes[few[:-1]], "smote", 0)


NAMES = ("covid", "pneumonia", "normal")
PARENTS = {"covid": "ill", "pneumonia": "ill"}


def test_the_tree_splits_where_a_search_for_the_least_weighted_variance_does() -> None:
    hierarchy = Hierarchy.of(NAMES, PARENTS)
    assert hierarchy.weights.tolist() == [0.75, 0.75, 1, 1]
    random = np.random.default_rng(3)
    features = random.normal(size=(60, 4)).astype(np.float32)
    classes = np.where(features[:, 2] > 0.3, 2, (features[:, 0] > 0).astype(int))
    classes[::7] = 2 - classes[::7]
    vectors = hierarchy.members.T[classes].astype(float)
    best = (np.inf, 0, 0.0)
    for column, place in product(range(4), range(1, 60)):
        order = np.argsort(features[:, column])
        halves = vectors[order[:place]], vectors[order[place:]]
        spread = sum(len(half) * (half.var(0) * hierarchy.weights).sum() for half in halves)
        best = min(best, (spread, column, features[order[place - 1 : place + 1], column].mean()))
    tree = grow((features, classes), (features, classes), hierarchy, 0).tree_
    assert tree.feature[0] == best[1]
    assert tree.threshold[0] == pytest.approx(best[2], abs=1e-6)
    leaves = tree.value[tree.children_left < 0, :, 0] @ to_classes(hierarchy)
    assert np.allclose(leaves.sum(1), 1)


def test_deciding_walks_from_the_top() -> None:
    hierarchy = Hierarchy.of(NAMES, PARENTS)
    walked = hierarchy.walk(np.array([[0.3, 0.25, 0.45], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]]))
    assert walked.tolist() == [0, 2, 1]  # the first is ill (0.55), though normal is its most probable class


def test_a_tree_over_three_classes_answers_with_its_leaves(rows: tuple) -> None:  # type: ignore[type-arg]
    hierarchy = Hierarchy.of(NAMES, PARENTS)
    model, _ = fit_estimator("clus", rows, rows, "none", hierarchy, 0)
    whole = joined([model], [(0, 5)], "early", 3).SerializeToString()
    found = onnxruntime.InferenceSession(whole).run(None, {"features": rows[0]})[0]
    assert np.allclose(found.sum(1), 1, atol=1e-6)
    assert (found.argmax(1) == rows[1]).mean() > 0.8


@pytest.mark.parametrize(
    ("options", "outputs", "message"),
    [
        ({"estimator": "clus", "hierarchy": ["covid < ill"]}, 1, "not applicable: with two classes the tree is flat"),
        ({"estimator": "clus"}, 3, "needs a hierarchy"),
        ({"descriptors": ["lbp", "lbp"]}, 1, "names one twice"),
        ({"descriptors": ["sift"]}, 1, "descriptors.0"),
        ({"estimator": "clus", "hierarchy": ["covid"]}, 3, "hierarchy.0"),
        ({"descriptors": ["trunk"]}, 1, "without weights"),
    ],
)
def test_options_that_cannot_be_are_refused_before_there_is_a_run(
    options: dict[str, object], outputs: int, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        assert_can_train(config_with(**options), outputs)


@pytest.mark.parametrize("parents", [{"covid": "ill", "ill": "covid"}, {"covid": "ill", "gout": "ill"}])
def test_a_hierarchy_of_other_names_or_in_a_circle_is_refused(parents: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="hierarchy"):
        Hierarchy.of(NAMES, parents)
