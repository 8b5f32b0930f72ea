"""The table of a sweep, from made-up runs: what is measured where, against whom, and every file of it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lunglens.errors import DataError
from lunglens.evaluate import classification
from lunglens.evaluate.compare import holm
from lunglens.evaluate.figures.systems import write_systems
from lunglens.evaluate.figures.systems.grids import grids_of, printed_words
from lunglens.evaluate.systems.films import one_against
from lunglens.evaluate.systems.numbers import Row, Systems, systems_of
from lunglens.evaluate.systems.record import Origin, Printed, Swept, SweptRun
from lunglens.files import write_record
from tests.support.predictions import TWO, predictions
from tests.support.run_folder import write_run

NINE_OF_TEN = Printed(setting="one split", meaning="9 of 10 images", accuracy=0.9, test_images=10)
ORIGIN = Origin(
    number=8,
    title="COVIDX_Net & others",
    authors="E. Hemdan",
    year=2020,
    citation="x",
    sureness="certain",
    quoted="90 %",
)
THREE = ("covid", "pneumonia", "normal")


def swept(study: str, system: str, shown: str = "film") -> SweptRun:
    """A system's run: the second has a publication."""
    known = {"origin": ORIGIN, "printed": NINE_OF_TEN} if system == "second" else {}
    folder = f"{study}/{system}-{shown}"
    return SweptRun.model_validate(
        {
            "folder": folder,
            "study": study,
            "system": system,
            "label": system.upper(),
            "shown": shown,
            "began": "lite",
            **known,
        }
    )


def finished(folder: Path, table: pd.DataFrame, classes: tuple[str, ...]) -> None:
    write_run(folder, table, draws=480, train_seconds=90.0)
    (folder / "metrics.json").write_text(json.dumps(classification.metrics_of(table, classes).to_json()))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two systems with two inputs on one study, one on a control of three classes, and a run that is not finished."""
    out = tmp_path_factory.mktemp("sweep")
    runs = [
        swept("paper", system, shown) for system in ("first", "second", "third") for shown in ("film", "surroundings")
    ]
    runs.append(swept("control", "second"))
    write_record(out / "sweep.json", Swept(runs=tuple(runs)))
    for number, one in enumerate(runs[:5]):
        table = predictions(120, TWO, folds=3, external=80, seed=number, sharp=2.5 - 0.4 * number)
        finished(out / one.folder, table, TWO)
    finished(out / runs[-1].folder, predictions(240, THREE, folds=3).assign(source="one place"), THREE)
    return out


@pytest.fixture(scope="module")
def systems(sweep: Path) -> Systems:
    return systems_of(sweep)


def row_of(systems: Systems, folder: str) -> Row:
    return next(row for row in systems.rows if row.swept.folder == folder)


def test_runs_are_judged_in_folds_elsewhere_within_collections_and_across_them(systems: Systems) -> None:
    parts = row_of(systems, "paper/second-film").parts
    assert {words: part.kind for words, part in parts.items()} == {
        "in folds": "folds",
        "within both": "within",
        "elsewhere": "elsewhere",
        "covid of hospital 1, normal of hospital 2": "pair",
        "covid of hospital 1, normal of hospital 3": "pair",
    }
    assert parts["elsewhere"].measures.n == 80
    assert 0 < parts["in folds"].calibration.ece < 0.2


def test_the_first_system_is_what_all_are_held_against(systems: Systems) -> None:
    assert (systems.reference, systems.planned, len(systems.rows)) == ("FIRST", 7, 6)
    assert all(part.against is None for part in row_of(systems, "paper/first-film").parts.values())
    ours, theirs = (row_of(systems, f"paper/{name}-surroundings").parts["elsewhere"] for name in ("second", "first"))
    assert ours.against is not None
    assert ours.against.value == pytest.approx((ours.measures.auroc or 0) - (theirs.measures.auroc or 0), abs=1e-5)


def test_holm_is_over_the_rows_of_the_same_films(systems: Systems) -> None:
    tested = [
        part for row in systems.rows for words, part in row.parts.items() if words == "elsewhere" and part.against
    ]
    assert len(tested) == 3
    assert [part.p_holm for part in tested] == holm([part.against.p or 0 for part in tested if part.against])


def test_another_model_s_answers_can_be_the_reference(sweep: Path, tmp_path: Path) -> None:
    table = predictions(120, TWO, folds=3, external=80, seed=9)
    table[table["fold"] == "external"].to_csv(tmp_path / "predictions.csv", index=False)
    found = systems_of(sweep, str(tmp_path))
    assert found.reference == tmp_path.name
    parts = row_of(found, "paper/first-film").parts
    assert parts["elsewhere"].against is not None
    assert parts["in folds"].against is None  # it has not answered for these
    with pytest.raises(DataError, match="neither a system of the sweep nor a folder"):
        systems_of(sweep, "fourth")


def test_of_several_classes_the_first_is_held_against_each_other_within_a_collection(systems: Systems) -> None:
    parts = row_of(systems, "control/second-film").parts
    assert "covid against pneumonia within one place" in parts
    assert parts["in folds"].against is None
    pair = one_against(predictions(240, THREE), "covid", "pneumonia")
    assert set(pair["class"]) == {"covid", "pneumonia"}
    assert (pair["p_covid"] + pair["p_pneumonia"]).to_numpy() == pytest.approx(1)


def test_a_sweep_without_a_finished_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sweep.json: not there; call sweep again"):
        systems_of(tmp_path)
    write_record(tmp_path / "sweep.json", Swept(runs=(swept("paper", "first"),)))
    with pytest.raises(DataError, match="none of its 1 runs is finished"):
        systems_of(tmp_path)


def test_a_printed_share_has_the_interval_of_its_counts() -> None:
    assert printed_words(NINE_OF_TEN) == "accuracy 90 %; 10 images: accuracy within 55.5 to 99.7 %"
    assert printed_words(Printed(setting="", meaning="", kappa=0.82, f1=0.89)) == "F1 89 %; kappa 0.82"
    assert printed_words(None) == "-"


def test_every_table_is_rectangular_and_names_its_rows(systems: Systems) -> None:
    grids = {grid.title: grid for grid in grids_of(systems)}
    assert all(len(row) == len(grid.head) for grid in grids.values() for row in grid.rows)
    everywhere = grids["AUROC in folds, elsewhere and without lungs"]
    assert [row[:2] for row in everywhere.rows] == [["FIRST", "lite"], ["SECOND", "lite"], ["THIRD", "lite"]]
    assert "control, whole film: in folds" in everywhere.head
    assert everywhere.rows[2][everywhere.head.index("lungs black: in folds")] == "-"
    assert "8. COVIDX_Net & others (E. Hemdan, 2020)" in grids["What was printed"].rows[1]
    assert grids["What they cost"].rows[0][-2:] == ["480", "1.5"]


def test_everything_is_written(systems: Systems, tmp_path: Path) -> None:
    files = write_systems(systems, tmp_path)
    assert sorted(path.suffix for path in files) == [".csv", ".json", ".md", ".pdf", ".png", ".svg", ".tex"]
    content = json.loads((tmp_path / "systems.json").read_text())
    found = content["runs"][2]["films"]["elsewhere"]
    assert found["against"]["p_holm"] == row_of(systems, "paper/second-film").parts["elsewhere"].p_holm
    table = pd.read_csv(tmp_path / "systems.csv")
    assert len(table) == sum(len(row.parts) for row in systems.rows)
    assert table.loc[table["system"] == "second", "printed_accuracy"].unique().tolist() == [0.9]
    assert r"COVIDX\_Net \& others" in (tmp_path / "systems.tex").read_text()
    assert "6 of 7 runs are finished" in (tmp_path / "systems.md").read_text()
    drawn = (tmp_path / "systems.svg").read_text()
    assert "in folds, lungs black" in drawn
    assert "SECOND · lite" in drawn
