"""The audit's tests without a network: a ladder of planted shortcuts is found by the right one, its foot by none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from lunglens.evaluate.audit import tables
from lunglens.evaluate.audit.alike import subgroups
from lunglens.evaluate.audit.counterfactual import counterfactual_test
from lunglens.evaluate.audit.evidence import heat_test
from lunglens.evaluate.audit.pixels import shape_of, shape_test, thumbnail_test
from lunglens.evaluate.audit.probe import source_probe
from lunglens.evaluate.audit.record import Audit, AuditTest, not_done
from lunglens.evaluate.audit.retrained import BLACKOUT, FILM, SOURCES, Retrained, hidden_test, source_left_out
from lunglens.evaluate.audit.short import short_test, source_gap
from lunglens.evaluate.audit.verdict import verdict_of_auc
from lunglens.evaluate.classification import metrics_of
from lunglens.evaluate.confounding import audit_confounding
from lunglens.study.folder import load_study
from lunglens.study.folds import read_folds
from lunglens.train.audit.films import small_films
from tests.support.planted import planted_study

CLASSES = ("covid", "other")
QUIET = Console(quiet=True)


def found_on(folder: Path, shortcut: str, share: float) -> dict[str, AuditTest]:
    study = load_study(planted_study(folder, shortcut, share, count=100))
    folds, films = read_folds(study), study.table
    target = films["class"].map(study.classes.index).to_numpy(np.int64)
    over = (target, folds["fold"].to_numpy(str), folds["group_id"].to_numpy(str), 0)
    confounding = audit_confounding(films, study.classes)
    pictures, masks = small_films(study, films, QUIET)
    made = [tables.source_by_class(confounding), tables.metadata(confounding)]
    made += [thumbnail_test({"whole film": pictures}, *over), shape_test(masks, *over)]
    return {test.test: test for test in made}


RIGHT = {
    "border": ("T2", "T3"),
    "marker": ("T3",),
    "contrast": ("T3",),
    "sharpness": ("T3",),
    "mask shape": ("T6",),
}


def test_where_nothing_is_planted_nothing_is_found(tmp_path: Path) -> None:
    found = found_on(tmp_path, "border", 0)
    assert {name: test.verdict for name, test in found.items()} == dict.fromkeys(("T1", "T2", "T3", "T6"), "clear")


@pytest.mark.parametrize("shortcut", RIGHT)
def test_the_ladder(shortcut: str, tmp_path: Path) -> None:
    ladder = [found_on(tmp_path / str(share), shortcut, share) for share in (0.25, 0.5, 0.75, 1)]
    for test in RIGHT[shortcut]:
        verdicts = [step[test].verdict for step in ladder]
        assert verdicts[0] == "doubt"
        assert verdicts[2:] == ["shortcut", "shortcut"]
        # A mark that only one class has, on a share of its films, tells the class with 0.5 + share / 2.
        assert [step[test].number for step in ladder] == pytest.approx([0.625, 0.75, 0.875, 1], abs=0.06)
    others = {"T1", "T2", "T6"} - set(RIGHT[shortcut])
    assert all(ladder[-1][name].verdict == "clear" for name in others)


def table(sources: list[str], classes: list[str], scores: list[float]) -> pd.DataFrame:
    found = pd.DataFrame({"source": sources, "class": classes, "p_covid": scores, "p_other": 1 - np.array(scores)})
    names = [f"film-{index}" for index in range(len(found))]
    return found.assign(image_id=names, group_id=names, fold=[str(index % 2) for index in range(len(found))])


def test_a_score_that_is_gone_inside_a_source_is_a_shortcut() -> None:
    generator = np.random.default_rng(0)
    sources = ["a"] * 60 + ["b"] * 60
    classes = ["covid"] * 50 + ["other"] * 10 + ["covid"] * 10 + ["other"] * 50
    of_source = np.where(np.array(sources) == "a", 0.7, 0.3) + generator.uniform(-0.1, 0.1, 120)
    found = tables.within_sources(table(sources, classes, list(of_source)), CLASSES, 0)
    assert found.verdict == "shortcut"
    of_class = np.where(np.array(classes) == "covid", 0.7, 0.3) + generator.uniform(-0.3, 0.3, 120)
    assert tables.within_sources(table(sources, classes, list(of_class)), CLASSES, 0).verdict == "clear"
    alone = table(["a"] * 20 + ["b"] * 20, ["covid"] * 20 + ["other"] * 20, [0.5] * 40)
    assert tables.within_sources(alone, CLASSES, 0).verdict == "not done"


def test_a_view_that_is_served_worse_is_named() -> None:
    classes = ["covid", "other"] * 100
    views = ["AP"] * 100 + ["PA"] * 100
    scores = [0.9 if name == "covid" else 0.3 for name in classes]
    scores[100:150:2] = [0.2] * 25
    rows = table(["a"] * 200, classes, scores)
    films = pd.DataFrame({"view": views, "sex": "F", "age_years": "50"})
    found = subgroups(rows, films, CLASSES, 0)
    assert (found.verdict, found.number) == ("shortcut", 0.5)
    assert "sensitivity is 0.50 for view PA and 1.00 for view AP" in found.sentence


def test_features_that_hold_the_source_name_it_and_others_do_not() -> None:
    generator = np.random.default_rng(0)
    films = table(["a", "b"] * 60, ["covid"] * 60 + ["other"] * 60, [0.5] * 120).assign(fold="0")
    noise = generator.normal(size=(120, 6))
    known = noise + (films["source"] == "a").to_numpy()[:, None] * 3.0
    groups = films["group_id"].to_numpy(str)
    assert source_probe(known, films, groups, CLASSES, 0).verdict == "shortcut"
    assert source_probe(noise, films, groups, CLASSES, 0).verdict == "clear"
    assert source_probe(noise, films.assign(source="a"), groups, CLASSES, 0).verdict == "not done"


def test_an_edit_counts_by_the_decisions_it_flips() -> None:
    before = np.array([0.9, 0.8, 0.2, 0.1] * 10)
    after = {"nothing": before, "marker": np.where(before < 0.5, 0.7, before)}
    found = counterfactual_test(before, after, np.arange(40).astype(str), 0)
    assert (found.verdict, found.number) == ("shortcut", 0.5)
    assert found.rows[0]["flipped"] == 0
    assert found.rows[1]["mean_shift"] == pytest.approx(0.275)
    assert counterfactual_test(before, {"nothing": before}, np.arange(40).astype(str), 0).verdict == "clear"


def test_heat_beside_the_lungs_is_none() -> None:
    hits = {"hits": 0.5, "hits_95_ci": [0.4, 0.6], "n": 9}
    lungs = {
        "ratio": 0.8,
        "ratio_95_ci": [0.7, 0.9],
        "heat_share": 0.2,
        "area_share": 0.25,
        "hottest_pixel": hits,
        "n": 9,
    }
    random = {"all layers": {"rank_correlation": 0.1, "n": 9}}
    assert heat_test(lungs, random, None, None).verdict == "shortcut"
    inside = lungs | {"ratio": 1.8, "ratio_95_ci": [1.7, 1.9]}
    assert heat_test(inside, random, None, None).verdict == "clear"
    assert heat_test(inside, {"all layers": {"rank_correlation": 0.7, "n": 9}}, None, None).verdict == "doubt"


def retrained(scores: list[float], sources: list[str]) -> Retrained:
    return Retrained(metrics_of(table(sources, ["covid", "other"] * (len(scores) // 2), scores), CLASSES), "")


def test_what_needs_no_lungs_is_held_against_whole_films() -> None:
    generator = np.random.default_rng(0)
    sources = ["a"] * 100
    truth = np.array([1.0, 0.0] * 50)
    good, chance = (list(np.clip(weight * truth + (1 - weight) * generator.random(100), 0, 1)) for weight in (0.6, 0.0))
    found = {FILM: retrained(good, sources), BLACKOUT: retrained(good, sources), SOURCES: retrained(chance, sources)}
    assert hidden_test("T4", "", found, (BLACKOUT,)).verdict == "shortcut"
    assert source_left_out(found).verdict == "shortcut"
    none = found | {BLACKOUT: retrained(chance, sources), SOURCES: retrained(good, sources)}
    assert hidden_test("T4", "", none, (BLACKOUT,)).verdict == "clear"
    assert source_left_out(none).verdict == "clear"
    nothing = found | {FILM: retrained(chance, sources)}
    assert hidden_test("T4", "", nothing, (BLACKOUT,)).verdict == source_left_out(nothing).verdict == "not done"


def test_the_gap_that_follows_what_features_know() -> None:
    rows = table(["a"] * 40 + ["b"] * 40, ["covid", "other"] * 40, [0.9, 0.1] * 20 + [0.9, 0.6] * 20)
    assert source_gap(rows, CLASSES) == 1.0
    points = [{"scale": s, "told": 0.6 + s / 10, "gap": 0.1 + s / 10, "auroc": 0.9} for s in range(4)]
    assert short_test(points).verdict == "shortcut"
    assert short_test([point | {"gap": 0.1} for point in points]).verdict == "clear"
    assert short_test([point | {"told": None} for point in points]).verdict == "not done"


def test_chance_is_no_finding_and_the_gravest_counts() -> None:
    assert verdict_of_auc(0.8, [0.49, 0.9]) == "clear"
    assert verdict_of_auc(0.8, None) == "clear"
    assert verdict_of_auc(0.8, [0.7, 0.9]) == "shortcut"
    made = (not_done("T1", "", "why"), AuditTest(test="T2", name="", verdict="doubt", sentence=""))
    about = {"study": "", "fingerprint": "", "run": "", "model": "", "shown": "", "auroc": None, "auroc_95_ci": None}
    assert Audit(**about, date="", seed=0, tests=made).worst() == "doubt"


def test_an_empty_mask_has_no_shape() -> None:
    assert np.isnan(shape_of(np.zeros((8, 8), bool))).all()
