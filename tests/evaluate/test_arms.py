"""By finding: pairs across hospitals, one collection, and how often films are called at a threshold of validation."""

import numpy as np
import pandas as pd
import pytest

from lunglens.errors import DataError
from lunglens.evaluate.arms import arm_differences, arm_measures
from lunglens.evaluate.purposes import threshold_of_sensitivity

CLASSES = ("covid", "not covid")


def films(source: str, name: str, fold: str, scores: list[float]) -> pd.DataFrame:
    table = pd.DataFrame({"p_covid": scores, "class": name, "source": source, "fold": fold})
    table["image_id"] = [f"{source}-{name}-{fold}-{number}" for number in range(len(scores))]
    return table.assign(group_id=table["image_id"], **{"p_not covid": 1 - table["p_covid"]})


VALIDATION = pd.concat([films("here", "covid", "v", [0.5] * 20), films("here", "not covid", "v", [0.4] * 20)])


def test_the_threshold_reaches_the_sensitivity_with_every_source_weighing_the_same() -> None:
    small = films("small", "covid", "v", [0.9, 0.2])
    large = films("large", "covid", "v", [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.1])
    healthy = films("large", "not covid", "v", [0.99])
    assert threshold_of_sensitivity(pd.concat([small, large, healthy]), CLASSES, 0.85) == 0.2
    assert threshold_of_sensitivity(pd.concat([large, healthy]), CLASSES, 0.5) == 0.5


def test_findings_are_told_apart_where_a_class_joins_them() -> None:
    near = [films("here", "covid", "0", [0.9] * 10), films("here", "not covid", "0", [0.8, 0.3] * 10)]
    far = [films("far", "covid", "external", [0.7] * 12), films("old", "not covid", "external", [0.6, 0.1] * 10)]
    rows = pd.concat([*near, *far], ignore_index=True)
    findings = rows.set_index("image_id")["p_covid"].map({0.8: "pneumonia", 0.6: "tuberculosis"}).fillna("normal")
    view = rows.set_index("image_id")["source"].map({"here": "PA", "far": "AP", "old": "PA"})
    found = arm_measures(rows, VALIDATION, findings, CLASSES, 0, {"view": view})
    assert set(found["auroc"]) == {
        "tested mixture",
        "within here, against normal",
        "within here, against pneumonia",
        "covid of far against normal of old",
        "covid of far against tuberculosis of old",
    }
    assert found["auroc"]["within here, against pneumonia"] == {"n": [10, 10], "value": 1.0, "95_ci": [1.0, 1.0]}
    assert found["threshold"] == 0.5
    assert found["balanced"]["threshold"] == pytest.approx(0.45)
    points = {row["films"]: (row["sensitivity"], row["specificity"]) for row in found["balanced"]["rows"]}
    assert points["covid of far against normal of old"] == (1.0, 1.0)
    assert points["covid of far against tuberculosis of old"] == (1.0, 0.0)
    shares = {words: measured["share"] for words, measured in found["called"].items()}
    assert shares == {
        "covid of here": 1,
        "pneumonia of here": 1,
        "normal of here": 0,
        "covid of far": 1,
        "tuberculosis of old": 1,
        "normal of old": 0,
    }
    assert found["called"]["covid of far"]["n"] == 12
    inside, outside = found["subgroups"]["tested mixture"]["view"], found["subgroups"]["external"]["view"]
    assert [(row["level"], row["n"], row["specificity"]) for row in inside] == [("PA", [10, 20], 0.5)]
    assert [(row["level"], row["n"], row["sensitivity"]) for row in outside] == [
        ("AP", [12, 0], 1),
        ("PA", [0, 20], None),
    ]


def test_a_film_of_no_known_finding_is_called_so() -> None:
    rows = films("old", "not covid", "external", [0.1] * 3)
    found = arm_measures(rows, VALIDATION, pd.Series(dtype=object), CLASSES, 0)
    assert found["called"]["unknown of old"]["share"] == pytest.approx(0)
    assert found["auroc"] == {}


def test_runs_are_held_against_one_another_film_by_film() -> None:
    generator = np.random.default_rng(1)
    sides = [films("far", "covid", "external", [0.0] * 60), films("old", "not covid", "external", [0.0] * 60)]
    rows = pd.concat(sides, ignore_index=True)
    truth = (rows["class"] == "covid").to_numpy(float)
    better = rows.assign(p_covid=truth + generator.normal(0, 0.4, len(rows)))
    worse = rows.assign(p_covid=truth + generator.normal(0, 1.5, len(rows)))
    findings = pd.Series("normal", index=rows["image_id"])
    found = arm_differences(better, worse.sample(frac=1, random_state=0), findings, CLASSES)
    assert list(found) == ["covid of far against normal of old"]
    [difference] = found.values()
    assert 0.1 < difference["95_ci"][0] < difference["value"] < difference["95_ci"][1]
    assert difference["p"] < 0.001
    same = arm_differences(better, better, findings, CLASSES)
    assert same["covid of far against normal of old"] == {"value": 0.0, "95_ci": None, "p": None}
    more = films("here", "covid", "0", [0.5] * 20), films("here", "not covid", "0", [0.4] * 20)
    wider, one_less = pd.concat([worse, *more]), pd.concat([better, more[0][1:], more[1]])
    assert len(arm_differences(wider, wider, findings, CLASSES)) == 3
    assert list(arm_differences(one_less, wider, findings, CLASSES)) == list(found)
    with pytest.raises(DataError, match="not tested on the same films"):
        arm_differences(better, worse[1:], findings, CLASSES)
