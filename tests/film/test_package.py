"""Model packages: exported from torch, read and run without it, and damage that is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lunglens.errors import ModelPackageError
from lunglens.files import sha256_of
from lunglens.film.model_package.package import (
    golden_input,
    load_package,
    shipped_models,
    verify_package,
    write_description,
)
from lunglens.film.model_package.record import AnswerSettings, LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.train import export
from lunglens.train.export import export_package

SIZE = 16
PARAMETERS = LungsParameters(postprocess=Postprocess(threshold=0.4))
GOLDEN = Path(__file__).parent / "golden" / "package-format-1"


class Tiny(nn.Module):
    """Two outputs, as the lungs package has."""

    outputs = ("probability", "features")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.conv(images)
        return maps[:, :1].sigmoid(), maps.mean((2, 3))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "tiny"
    folder.mkdir()
    (folder / "README.md").write_text("the card")
    export_package(Tiny(), folder, name="tiny", input_size=SIZE, parameters=PARAMETERS, provenance={"seed": 0})
    return folder


@pytest.fixture
def package(exported: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(exported, tmp_path / "tiny"))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = json.loads((folder / "package.json").read_text())
    change(description)
    (folder / "package.json").write_text(json.dumps(description))


def test_a_package_says_what_it_is_and_keeps_its_card(exported: Path) -> None:
    package = load_package(exported)
    assert package.name.startswith("tiny ")
    assert (package.record.task, package.input_size, package.parameters) == ("lungs", SIZE, PARAMETERS)
    assert package.record.checksums == {"model.onnx": sha256_of(exported / "model.onnx")}
    assert {path.name for path in exported.iterdir()} == {"README.md", "model.onnx", "package.json"}
    assert (exported / "README.md").read_text() == "the card"


@pytest.mark.parametrize("count", [1, 3])
def test_it_computes_what_torch_computes_for_any_number_of_films(exported: Path, count: int) -> None:
    images = np.random.default_rng(count).random((count, 1, SIZE, SIZE), dtype=np.float32)
    found = load_package(exported).run(images)
    with torch.inference_mode():
        expected = Tiny().eval()(torch.from_numpy(images))
    assert list(found) == ["probability", "features"]
    for name, tensor in zip(found, expected, strict=True):
        assert found[name] == pytest.approx(tensor.numpy(), abs=1e-5)


def test_a_good_package_has_no_problems(exported: Path) -> None:
    assert verify_package(load_package(exported)) == []


def test_one_flipped_bit_in_the_graph_is_found(package: Path) -> None:
    graph = bytearray((package / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    loaded = load_package(package)
    (package / "model.onnx").write_bytes(graph)
    (problem,) = verify_package(loaded)
    assert "checksum" in problem
    assert str(package / "model.onnx") in problem
    with pytest.raises(ModelPackageError, match="checksum"):
        load_package(package)
    with pytest.raises(ModelPackageError, match="checksum"):  # changed between loading and the first film
        loaded.run(golden_input(SIZE))


def test_a_file_that_went_missing_after_loading_is_found(package: Path) -> None:
    loaded = load_package(package)
    (package / "model.onnx").unlink()
    (problem,) = verify_package(loaded)
    assert "model.onnx is missing" in problem


@pytest.mark.parametrize("position", [0, -1])
def test_a_changed_golden_value_is_found(package: Path, position: int) -> None:
    def change(description: dict[str, Any]) -> None:
        description["golden"]["features"][position] += 0.01

    edit(package, change)
    (problem,) = verify_package(load_package(package))
    assert "golden case differs in features by 0.01" in problem


def test_golden_values_within_the_tolerance_pass(package: Path) -> None:
    def change(description: dict[str, Any]) -> None:
        description["golden"]["features"][0] += 5e-4

    edit(package, change)
    assert verify_package(load_package(package)) == []


def test_outputs_that_are_not_numbers_do_not_pass(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = load_package(exported)
    broken = {name: np.full_like(array, np.nan) for name, array in package.run(golden_input(SIZE)).items()}
    monkeypatch.setattr(type(package), "run", lambda *_: broken)
    assert len(verify_package(package)) == 2


def test_a_golden_case_of_other_outputs_is_found(package: Path) -> None:
    edit(package, lambda description: description["golden"].pop("features"))
    (problem,) = verify_package(load_package(package))
    assert "['features', 'probability']" in problem


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "is this a model package"),
        (b"{", "is this a model package"),
        (b"\xff\xfe\xfd", "is this a model package"),
        (b"[1]", "no JSON object"),
        (b"{}", "package format None"),
        (b'{"format_version": 3}', "package format 3, this LungLens reads formats 1 and 2"),
        (b'{"format_version": 2, "task": "poetry"}', "a package for poetry; this LungLens knows lungs, classification"),
        (b'{"format_version": 1, "name": "tiny"}', r"lacks version, input_size, parameters\.postprocess"),
        (b"[" * 100_000, "is this a model package"),
        (b'{"format_version": true}', "package format True"),
    ],
)
def test_a_folder_that_is_no_package_is_refused_by_name(package: Path, content: bytes | None, complaint: str) -> None:
    (package / "package.json").unlink()
    if content is not None:
        (package / "package.json").write_bytes(content)
    with pytest.raises(ModelPackageError, match=complaint) as caught:
        load_package(package)
    assert str(package) in str(caught.value)


def test_a_package_without_its_graph_is_refused(package: Path) -> None:
    (package / "model.onnx").unlink()
    with pytest.raises(ModelPackageError, match=r"model\.onnx is missing"):
        load_package(package)


def test_a_graph_that_does_not_agree_with_torch_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    other = Tiny()
    with torch.no_grad():
        other.conv.bias.add_(0.01)
    monkeypatch.setattr(export, "onnx_bytes", lambda *_: (exported / "model.onnx").read_bytes())
    with pytest.raises(ModelPackageError, match="ONNX and torch differ"):
        export_package(other, tmp_path / "p", name="p", input_size=SIZE, parameters=PARAMETERS, provenance={})
    with pytest.raises(ModelPackageError):
        load_package(tmp_path / "p")


@pytest.mark.parametrize(
    ("part", "today"), [("lungs", "lungs"), ("classifier", "hrnet"), ("orientation", "orientation")]
)
def test_packages_of_format_1_are_read_as_the_same_in_format_2(part: str, today: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to(tmp_path / "graph")  # within the folder
    shutil.copy(shipped_models() / today / "model.onnx", tmp_path / "graph")
    description = json.loads((GOLDEN / f"{part}.json").read_text())
    if part != "orientation":  # other lungs ship now, and HRNet's weights as float16
        description["checksums"] = {"model.onnx": sha256_of(tmp_path / "graph")}
    (tmp_path / "package.json").write_text(json.dumps(description))
    old, new = load_package(tmp_path), load_package(shipped_models() / today)
    assert (old.record.task, old.input_size) == (new.record.task, new.input_size)
    assert old.parameters.channels == 1
    if part != "lungs":  # its file keeps only the beginning of the gate's long lists, too
        assert old.name == new.name
        assert old.parameters == new.parameters
        assert old.fingerprint == new.fingerprint
        assert part == "classifier" or verify_package(old) == []
    write_description(tmp_path, old.description)
    assert json.loads((tmp_path / "package.json").read_text())["format_version"] == 2
    assert load_package(tmp_path).description == old.description | {
        "parameters_sha256": load_package(tmp_path).record.parameters_sha256
    }


def answer(names: list[str], **more: Any) -> dict[str, Any]:
    return {"activation": "softmax", "classes": [{"name": name} for name in names], **more}


def test_a_class_is_called_by_its_name_and_covid_as_everybody_calls_it() -> None:
    settings = AnswerSettings.model_validate(answer(["covid", "Pleural effusion", "normal"]))
    assert [entry.words for entry in settings.classes] == ["COVID-19", "Pleural effusion", "normal"]
    codes = [entry.code and entry.code.value for entry in settings.classes]
    assert codes == ["840539006", None, None]
    spoken = AnswerSettings.model_validate(
        {**answer(["a", "b"], threshold=0.5), "classes": [{"name": "tb", "words": "tuberculosis"}, {"name": "covid"}]}
    )
    assert spoken.of("tb").words == "tuberculosis"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (answer(["a"], threshold=0.5), "at least 2"),
        (answer(["a", "a"], threshold=0.5), "same name"),
        (answer(["a", "b"]), "two classes need a threshold"),
        (answer(["a", "b", "c"], threshold=0.5), "more have none"),
        (answer(["a", "b", "c"]) | {"activation": "sigmoid"}, "sigmoid is for two"),
        (answer(["a", "b\n"], threshold=0.5), "one line"),
        (answer(["a", ""], threshold=0.5), "at least 1 character"),
        (answer(["a", "b"], threshold=1.5), "less than or equal to 1"),
    ],
)
def test_answers_that_nothing_can_be_decided_by_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        AnswerSettings.model_validate(settings)


def test_the_golden_image_is_a_film_of_its_size() -> None:
    for size in (16, 64):
        image = golden_input(size)
        assert (image.shape, image.dtype) == ((1, 1, size, size), np.float32)
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 0.1


def test_shipped_models_lie_in_the_package() -> None:
    assert shipped_models().parent.name == "lunglens"


def test_a_shipped_package_has_a_name_that_a_folder_of_ones_own_goes_before(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package.parent)
    assert load_package("severity").folder == shipped_models() / "severity"
    package.rename(package.parent / "severity")
    assert load_package("severity").name.startswith("tiny ")
    for nothing in ("nowhere", "severity/lungs", "../severity", "."):
        with pytest.raises(ModelPackageError, match="is this a model package"):
            load_package(nothing)
