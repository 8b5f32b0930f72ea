"""Other classifiers than the one that ships, in the server and the node: from their package alone come all words."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.model_package.package import shipped_models
from tests.serve.test_page import drop
from tests.support.command import run_cli
from tests.support.node_parts import archive, node, small_film, store
from tests.support.packages import THREE, TUBERCULOSIS, classifier_package
from tests.support.serving import Running, server
from tests.support.waiting import free_port, wait_until

SERVE = ("serve", "--port", free_port())


@pytest.fixture(scope="module")
def tuberculosis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier_package(tmp_path_factory.mktemp("packages") / "tuberculosis", TUBERCULOSIS, [0.3])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = classifier_package(tmp_path_factory.mktemp("packages") / "three", THREE, [0.1, 0.9, -1])
    (folder / "README.md").write_text("# Three\n\n## Intended use\nTests of three classes.\n\n## Limits\nAll.\n")
    return folder


@pytest.fixture(scope="module")
def running(three: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("three"), classifier=str(three)) as found:
        yield found


@pytest.mark.parametrize("verb", [SERVE, ("node", "--send-to", "A@localhost:104", "--spool")], ids=["serve", "node"])
def test_a_package_that_is_not_fit_is_said_before_the_port_is_opened(verb: tuple[Any, ...], tmp_path: Path) -> None:
    changed = Path(shutil.copytree(shipped_models() / "classifier", tmp_path / "changed"))
    (changed / "model.onnx").write_bytes(b"other weights")
    verb = verb if verb[0] == "serve" else (*verb, tmp_path / "spool")
    for option, folder, reason in (
        ("--classifier", tmp_path, "package.json"),
        ("--classifier", shipped_models() / "lungs", "is a package for lungs"),
        ("--lungs", shipped_models() / "classifier", "is a package for classification"),
        ("--classifier", changed, "does not have the checksum"),
    ):
        done = run_cli(*verb, option, folder)
        assert done.returncode == 2, done.stderr
        assert reason in done.stderr
        assert "Traceback" not in done.stderr and "http://" not in done.stderr
    assert not (tmp_path / "spool").exists()


def test_copies_of_the_packages_that_ship_answer_as_they_do(chest_png: Path, tmp_path: Path) -> None:
    packages = {
        part: str(shutil.copytree(shipped_models() / part, tmp_path / part)) for part in ("lungs", "classifier")
    }
    with server(tmp_path / "a", **packages) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        result = ask(client, chest_png)["result"]
        classifier = client.get("/api/about").json()["classifier"]
    assert result["covid_probability"] == round(Analyzer.load().analyze(film_of(chest_png)).covid_probability or 0, 6)
    assert [entry["words"] for entry in classifier["classes"]] == ["COVID-19", "not COVID-19"]
    assert 0 < classifier["threshold"] < 1 and "Not a medical device" in classifier["intended_use"]


def test_three_classes_have_three_probabilities_and_none_is_covid(running: Running, chest_png: Path) -> None:
    with httpx.Client(base_url=running.url, timeout=90) as client:
        found = ask(client, chest_png)
        about = client.get("/api/about").json()
        report = client.get(f"/api/analyses/{found['id']}/report.html").text
    result = found["result"]
    assert list(result["probabilities"]) == ["pneumonia", "effusion", "normal"]
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert result["decision"] == max(result["probabilities"], key=result["probabilities"].__getitem__)
    assert (result["threshold"], about["classifier"]["threshold"]) == (None, None)
    assert about["classifier"]["intended_use"] == "Tests of three classes."
    assert "pleural effusion" in report
    assert "covid" not in (str(found) + str(about["classifier"]) + report).lower()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two", "three"])
def test_the_page_takes_its_words_from_the_package(
    kind: str, browser: Any, running: Running, tuberculosis: Path, chest_png: Path, tmp_path: Path
) -> None:
    if kind == "three":
        said = page_of(browser, running, chest_png, "#probabilities")
        assert "pleural effusion" in said and "(the most probable class)" in said
        assert "Prevalence" not in said
        return
    with server(tmp_path, classifier=str(tuberculosis)) as other:
        said = page_of(browser, other, chest_png, "#probability")
    assert "Probability of tuberculosis" in said and "Told apart: tuberculosis, no tuberculosis" in said
    assert "of that for tuberculosis" in said and "Prevalence" not in said


def page_of(browser: Any, running: Running, film: Path, selector: str) -> str:
    """All text of the page, once the film is answered; none of it names COVID, and nothing has gone wrong."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(running.url)
    drop(page, film)
    page.wait_for_selector(selector, timeout=60_000)
    page.wait_for_function("() => !document.getElementById('tools').hidden")
    text = str(page.inner_text("body"))
    page.close()
    assert problems == []
    assert "covid" not in text.lower()
    return text


def test_the_node_s_results_name_the_package_s_classes(tuberculosis: Path, rg_folder: Path, tmp_path: Path) -> None:
    analyzer = Analyzer.load(classifier=tuberculosis)
    with archive() as receiver, node(tmp_path, receiver.port, analyzer) as running:
        assert store(running.port, small_film(rg_folder / "RG1_UNCR.dcm")) == 0
        wait_until(lambda: len(receiver.kept) == len(DICOM_FILES), 60)
    said = " ".join(str(dataset) for dataset in receiver.kept).lower()
    assert "tuberculosis" in said
    assert "covid" not in said


def ask(client: httpx.Client, film: Path) -> dict[str, Any]:
    answer = client.post("/api/analyses?wait=60", files={"files": (film.name, film.read_bytes())})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["analyses"][0]
    return found


def film_of(path: Path) -> Any:
    from lunglens.film.radiograph import read_radiograph

    return read_radiograph(path)
