"""Devices that networks run on: the same answers on each, a clear error where one cannot be had."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest

from lunglens.errors import DeviceError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import AnalysisWriter, SummaryRow, run_batch
from lunglens.film.batch.models import Models
from lunglens.film.batch.predict import predict
from lunglens.film.finding import Analyzed
from lunglens.film.model_package import on_openvino
from lunglens.film.model_package.package import load_package, verify_package
from lunglens.film.model_package.session import Device, devices
from lunglens.film.radiograph import read_radiograph
from lunglens.jobs import Job, JobResult, films
from lunglens.serve.settings import ServeSettings
from tests.support.command import run_cli
from tests.support.serving import analysed, server

SHIPPED = ("classifier", "hrnet", "lungs", "orientation", "severity")
ELSEWHERE: tuple[Device, ...] = ("openvino", "cuda")


@pytest.fixture
def none_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where neither OpenVINO nor a GPU is; onnxruntime-gpu itself is said to be there."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(on_openvino, "_core", on_openvino._core.__wrapped__)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", without_gpu(sys.modules["onnxruntime"].InferenceSession))


def without_gpu(session: Any) -> Callable[..., Any]:
    """What onnxruntime-gpu does without a GPU: it takes the processor, and says so on stderr alone."""
    return lambda graph, sess_options, providers: session(graph, sess_options=sess_options, providers=providers[-1:])


@pytest.mark.parametrize("device", ELSEWHERE)
@pytest.mark.parametrize("name", SHIPPED)
def test_every_network_that_ships_gives_the_same_on_every_device(name: str, device: Device) -> None:
    if device not in devices():
        pytest.skip(f"{device} is not installed")
    package = load_package(name)
    elsewhere = package.on(device)
    size = (3, package.parameters.channels, package.input_size, package.input_size)
    images = np.random.default_rng(0).random(size, dtype=np.float32)
    expected, found = package.run(images), elsewhere.run(images)
    assert list(found) == list(expected)
    for output, array in expected.items():
        assert (found[output].shape, found[output].dtype) == (array.shape, array.dtype)
        assert found[output] == pytest.approx(array, abs=1e-3), output
    assert verify_package(elsewhere) == []


@pytest.mark.parametrize("device", ELSEWHERE)
def test_a_film_s_answer_is_the_same_on_every_device(device: Device, chest_png: Path) -> None:
    if device not in devices():
        pytest.skip(f"{device} is not installed")
    film = read_radiograph(chest_png)
    here, there = Analyzer.load().analyze(film), Analyzer.load(device=device).analyze(film)
    assert isinstance(here, Analyzed)
    assert isinstance(there, Analyzed)
    assert there.answer.probabilities == pytest.approx(here.answer.probabilities, abs=1e-3)
    assert (there.answer.decision, there.withheld, there.warnings) == (
        here.answer.decision,
        here.withheld,
        here.warnings,
    )
    assert np.mean(here.lung_square != there.lung_square) < 1e-3


@pytest.mark.usefixtures("none_there")
@pytest.mark.parametrize(("device", "advice"), [("openvino", r"lunglens\[openvino\]"), ("cuda", "needs a GPU")])
def test_a_device_that_is_not_there_is_an_error_and_never_the_processor_instead(device: Device, advice: str) -> None:
    package = load_package("orientation").on(device)
    for ask in (package.prepare, ServeSettings(device=device).models, Analyzer.load(device=device).prepare):
        with pytest.raises(DeviceError, match=f"^{device}: .*{advice}"):
            ask()


def test_an_onnxruntime_without_cuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "cuda" not in devices()
    with pytest.raises(DeviceError, match="onnxruntime-gpu"):
        load_package("orientation").on("cuda").prepare()


def test_a_graph_that_openvino_cannot_take_is_the_device_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    if "openvino" not in devices():
        pytest.skip("openvino is not installed")

    def refuse(*_: object) -> None:
        raise RuntimeError("an operator it does not know")

    load_package("orientation").on("openvino").prepare()  # imports it, without what it would report
    monkeypatch.setattr("openvino.Core.compile_model", refuse)
    with pytest.raises(DeviceError, match=r"^openvino: cannot load .*model\.onnx; take the device cpu"):
        load_package("orientation").on("openvino").prepare()


@pytest.mark.usefixtures("none_there")
def test_the_device_reaches_whatever_answers_films(
    chest_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def here(left: dict[str, Any], begin: Callable[[], Callable[[Any], Any]], jobs: int) -> Iterator[tuple[str, Any]]:
        return ((key, begin()(task)) for key, task in left.items())

    def jobs(work: Sequence[Job]) -> list[JobResult]:
        return [JobResult(job, "done", 1, films.answer(job.folder, **job.arguments)) for job in work]

    for module in ("film.batch.models", "jobs.films"):
        monkeypatch.setattr(f"lunglens.{module}.work_off", here)
    monkeypatch.setattr(Analyzer, "prepare", lambda _: None)
    models, rows = Models(device="cuda"), list[SummaryRow]()
    run_batch([chest_png], tmp_path / "o", models.load(), AnalysisWriter(), rows.append, jobs=2)
    predict([chest_png], tmp_path / "p.csv", models.load(), 2, rows.append)
    by_jobs = lambda left: films.answer_by_jobs(left, tmp_path / "jobs", models, jobs)  # noqa: E731
    predict([chest_png], tmp_path / "q.csv", models.load(), None, rows.append, by_jobs)
    assert [(row.status, row.reason and row.reason[:5]) for row in rows] == 3 * [("failed", "cuda:")]
    assert ServeSettings(device="cuda").of_worker().load().lungs.device == "cuda"


def test_the_command_line_says_what_is_missing(tmp_path: Path) -> None:
    if "cuda" in devices():
        pytest.skip("there is CUDA")
    done = run_cli("verify", "--device", "cuda")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lunglens: cuda: ")
    assert "onnxruntime-gpu" in done.stderr


def test_a_server_on_openvino_answers_and_ends_in_good_order(chest_png: Path, tmp_path: Path) -> None:
    if "openvino" not in devices():
        pytest.skip("openvino is not installed")
    with server(tmp_path, device="openvino") as running:
        with httpx.Client(base_url=running.url, timeout=90) as client:
            answer = analysed(client, ("film.png", chest_png.read_bytes())).json()["analyses"][0]
        assert running.stop() == 0
    here = Analyzer.load().analyze(read_radiograph(chest_png))
    assert isinstance(here, Analyzed)
    found = answer["result"]["probabilities"]
    assert found == pytest.approx(here.answer.probabilities, abs=1e-3)
