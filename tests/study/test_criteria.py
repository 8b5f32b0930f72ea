"""Selection criteria on made-up tables: what each drops, why, and what it keeps although it cannot tell."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
from pydantic import ValidationError
from rich.console import Console

from lunglens.errors import ConfigurationError
from lunglens.study.config import config_path, load_config
from lunglens.study.config.study import ClassRule, StudyConfig, criterion_kind, without_sources
from lunglens.study.criteria import BY_METADATA, Context, assign_classes, exclusions_of, misspelt, read_exclusions


def context_of(seed: int = 1, exclusions: dict[str, str] | None = None) -> Context:
    """What the criteria of metadata need; the rest is for those that read films."""
    return Context(seed, exclusions or {}, Path(), Path(), Mock(), Console(quiet=True))


CONTEXT = context_of()


def films(**columns: list[Any]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    columns = {"image": [f"s/{index:03d}.png" for index in range(size)], "source": ["s"] * size} | columns
    return pd.DataFrame(columns)


def reasons(kind: str, table: pd.DataFrame, context: Context = CONTEXT, **settings: Any) -> tuple[list[str], int]:
    """Why each film goes, and how many are kept although unknown."""
    study = {"name": "t", "classes": [{"name": "c", "sources": ["s"], "labels": ["x"]}]}
    config = StudyConfig.model_validate(study | {"criteria": [{"kind": kind, **settings}]})
    verdict = BY_METADATA[criterion_kind(kind)](table, config.criteria[0], context)
    return list(verdict.reasons), 0 if verdict.unknown_kept is None else int(verdict.unknown_kept.sum())


def test_modality_and_view_drop_what_is_not_allowed_and_what_is_unknown() -> None:
    assert reasons("modality", films(modality=["X-ray", "CT", None])) == (["", "modality CT", "modality unknown"], 0)
    views = films(view=["PA", "ap supine", "L", None])
    assert reasons("view", views) == (["", "", "view L", "view unknown"], 0)
    assert reasons("view", views, keep_unknown=True) == (["", "", "view L", ""], 1)


def test_age_drops_the_young_and_keeps_the_unknown_with_a_count() -> None:
    table = films(age_years=[17.9, 18, None, 60], exclude=[None] * 4)
    assert reasons("age", table) == (["age 17.9", "", "", ""], 1)
    assert reasons("age", table, keep_unknown=False) == (["age 17.9", "", "age unknown", ""], 0)
    assert reasons("age", films(age_years=[None, None], exclude=[None, None]))[1] == 2


def test_equipment_drops_films_that_upstream_says_show_devices() -> None:
    assert reasons("equipment", films(equipment=[True, False, None])) == (["medical equipment", "", ""], 1)
    assert reasons("equipment", films(equipment=[None, None])) == (["", ""], 2)


def test_films_go_that_upstream_calls_unfit_with_its_reason() -> None:
    assert reasons("unfit", films(exclude=[None, "negative PCR"])) == (["", "negative PCR"], 0)


def test_diagnoses_fit_whole_or_in_part_and_the_first_rule_decides() -> None:
    table = films(
        diagnosis=["No Finding", "no finding|Devices", "Pneumonia|Effusion", "Effusion", "COVID-19, ARDS", None],
        label=["normal", "other", "pneumonia", "other", "covid", "normal"],
    )
    rules = [
        ClassRule(name="covid", sources=("s",), diagnoses=("COVID-19, ARDS",)),
        ClassRule(name="not", sources=("s",), diagnoses=("No Finding", "Pneumonia")),
        ClassRule(name="late", sources=("s",), labels=("normal",)),
        ClassRule(name="elsewhere", sources=("other",), labels=("other",)),
    ]
    classes = assign_classes(table, rules)
    assert list(classes) == ["not", "not", "not", "", "covid", "late"]
    found, _ = reasons("diagnosis", table.assign(**{"class": classes}))
    assert found == ["", "", "", "diagnosis Effusion", "", ""]


def test_a_sample_depends_on_the_names_and_the_seed_not_on_the_order() -> None:
    table = films(age_years=[1.0] * 50)
    kept = {image for image, why in zip(table["image"], reasons("sample", table, images=10)[0], strict=True) if not why}
    assert len(kept) == 10
    shuffled = table.sample(frac=1, random_state=3)
    again, _ = reasons("sample", shuffled, images=10)
    assert {image for image, why in zip(shuffled["image"], again, strict=True) if not why} == kept
    other, _ = reasons("sample", table, context_of(2), images=10)
    assert {image for image, why in zip(table["image"], other, strict=True) if not why} != kept


def test_a_sample_is_drawn_from_each_source() -> None:
    table = films(source=["a"] * 30 + ["b"] * 5)
    found, _ = reasons("sample", table, images=8)
    kept = table[[why == "" for why in found]]["source"].value_counts()
    assert dict(kept) == {"a": 8, "b": 5}


def test_a_cap_leaves_classes_without_a_limit_alone() -> None:
    table = films(**{"class": ["covid"] * 4 + ["not"] * 9})
    found, _ = reasons("cap", table, most={"not": 5})
    assert found[:4] == [""] * 4
    assert found[4:].count("over the class's limit") == 4


def test_the_exclusion_list_names_films_by_path_or_by_file_name(tmp_path: Path) -> None:
    path = tmp_path / "exclude.csv"
    path.write_text("image,reason\ns/000.png,marker\n002.png,\n")
    context = context_of(0, read_exclusions(path))
    found, _ = reasons("exclusion-list", films(view=["PA"] * 3), context)
    assert found == ["marker", "", "excluded by hand"]


@pytest.mark.parametrize(("content", "what"), [(None, "cannot be read"), ("file,why\na,b\n", "needs the columns")])
def test_a_broken_exclusion_list_is_named(tmp_path: Path, content: str | None, what: str) -> None:
    study = {"name": "t", "classes": [{"name": "c", "sources": ["s"], "labels": ["x"]}]}
    config = StudyConfig.model_validate(study | {"criteria": [{"kind": "exclusion list"}]})
    if content is not None:
        (tmp_path / "exclude.csv").write_text(content)
    with pytest.raises(ConfigurationError, match=what) as caught:
        exclusions_of(config, tmp_path)
    assert str(tmp_path / "exclude.csv") in str(caught.value)


@pytest.mark.parametrize("name", ["paper", "three-class", "tuberculosis"])
def test_the_studies_that_ship_are_valid(name: str) -> None:
    study = load_config(name).study
    assert study is not None
    assert [criterion.kind for criterion in study.criteria].count("lungs") == 1
    exclusions_of(study, config_path(name).parent)


def test_a_source_that_one_does_not_have_leaves_no_trace() -> None:
    study = load_config("paper").study
    assert study is not None
    found = without_sources(study, ("chexpert",))
    assert found.source_names == ["covid-chestxray-dataset", "nih-chestxray14"]
    assert "chexpert" not in found.model_dump_json()
    assert len(found.criteria) == len(study.criteria) - 1  # the age of CheXpert's patients
    # A criterion for all sources stays one for all.
    assert found.criteria[0].sources == ()


@pytest.mark.parametrize(("name", "what"), [("nih", "not a source"), ("covid-chestxray-dataset", "the class covid")])
def test_what_cannot_be_left_out_is_said(name: str, what: str) -> None:
    study = load_config("paper").study
    assert study is not None
    with pytest.raises(ConfigurationError, match=what):
        without_sources(study, (name,))


@pytest.mark.parametrize(
    "change",
    [
        {"classes": []},
        {"classes": [{"name": "c", "sources": ["s"]}]},
        {"classes": [{"name": "c", "sources": ["s"], "labels": ["x"], "diagnoses": ["y"]}]},
        {"criteria": [{"kind": "weather"}]},
        {"criteria": [{"kind": "lungs"}]},
        {"criteria": [{"kind": "sample", "images": 0}]},
    ],
)
def test_a_study_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    study = {"name": "t", "classes": [{"name": "c", "sources": ["s"], "labels": ["x"]}]}
    with pytest.raises(ValidationError):
        StudyConfig.model_validate(study | change)


def test_spellings_of_version_0_1_0_are_read() -> None:
    study = {"name": "t", "classes": [{"name": "c", "sources": ["s"], "findings": ["x"]}]}
    study |= {"own": [{"name": "s", "kind": "class folders"}]}
    old = StudyConfig.model_validate(
        study | {"criteria": [{"kind": k} for k in ("finding", "doubt", "exclusion list")]}
    )
    assert [criterion.kind for criterion in old.criteria] == ["diagnosis", "unfit", "exclusion-list"]
    assert (old.classes[0].diagnoses, old.own[0].kind) == (("x",), "class-folders")
    assert StudyConfig.model_validate(old.model_dump()) == old


def test_a_misspelt_rule_is_told_with_the_nearest_name_and_a_rule_that_fits_is_not() -> None:
    table = films(diagnosis=["Tuberkulose", "normal|old", "No Finding"], label=["tuberculosis", "normal", None])
    rule = {"name": "tb", "sources": ("s",)}
    assert misspelt(table, [ClassRule(**rule, diagnoses=("Tuberculosis",))]) == [
        'class tb: no film of s has "Tuberculosis" among its diagnoses; did you mean "Tuberkulose"?'
    ]
    assert misspelt(table, [ClassRule(**rule, labels=("covid",))]) == [
        'class tb: no film of s has "covid" among its labels.'
    ]
    fits = [
        {"diagnoses": ("TUBERKULOSE", "Pneumonia/Viral/COVID-19")},
        {"diagnoses": ("Old",)},
        {"labels": ("normal",)},
    ]
    assert [line for one in fits for line in misspelt(table, [ClassRule(**rule, **one)])] == []
