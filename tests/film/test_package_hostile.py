"""Packages that somebody changed: nothing is loaded that is not whole, and every refusal is in words."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from lunglens.errors import ModelPackageError
from lunglens.files import sha256_of
from lunglens.film.analyzer import Analyzer
from lunglens.film.model_package.onnx_file import has_external_data
from lunglens.film.model_package.package import load_package, shipped_models, write_description
from lunglens.film.model_package.record import Task
from tests.support.command import run_cli
from tests.support.packages import classifier_package

SIZE = 16
KINDS = ("lungs", "classifier")
TASKS: dict[str, Task] = {"lungs": "lungs", "classifier": "classification"}
POSTPROCESS = {"threshold": 0.5}


def described(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "package.json").read_text()))


def graph_of(*tensors: TensorProto, inputs: int = SIZE, outputs: tuple[str, ...] = ("probability",)) -> bytes:
    """Images in, the same images out under each name; `tensors` are its weights."""
    shape = ["n", 1, inputs, inputs]
    nodes = [helper.make_node("Identity", ["images"], [name]) for name in outputs]
    nodes += [helper.make_node("Identity", [one.name], [f"copy_{one.name}"]) for one in tensors]
    shown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs]
    shown += [helper.make_tensor_value_info(f"copy_{one.name}", TensorProto.FLOAT, [4]) for one in tensors]
    fed = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "g", fed, shown, list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def package_of(graph: bytes, folder: Path, task: Task = "lungs", **parameters: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    description = {
        "format_version": 2,
        "task": task,
        "name": "odd",
        "version": "1",
        "input_size": SIZE,
        "parameters": {"postprocess": POSTPROCESS} | parameters,
        "checksums": {"model.onnx": hashlib.sha256(graph).hexdigest()},
        "golden": {},
    }
    (folder / "package.json").write_text(json.dumps(description))
    return folder


def external(location: str, name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.mark.parametrize("kind", KINDS)
def test_negated_weights_are_refused_under_the_old_name(kind: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_models() / kind, tmp_path / kind))
    model = onnx.load(folder / "model.onnx")
    weights = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    weights.raw_data = (-np.frombuffer(weights.raw_data, np.float32)).tobytes()
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ModelPackageError, match="checksum"):
        Analyzer.load(**{kind: folder})


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_of_the_other_kind_is_refused(kind: str) -> None:
    other = shipped_models() / KINDS[1 - KINDS.index(kind)]
    with pytest.raises(ModelPackageError, match=f"is a package for {TASKS[other.name]}; give one for {TASKS[kind]}"):
        Analyzer.load(**{kind: other})


def test_a_graph_that_cannot_be_run_is_said_once_and_costs_no_film(chest_png: Path, tmp_path: Path) -> None:
    folder, out = Path(shutil.copytree(shipped_models() / "classifier", tmp_path / "classifier")), tmp_path / "out"
    description = described(folder)
    description["input_size"] += 1
    write_description(folder, description)
    done = run_cli("analyze", chest_png, "--out", out, "--classifier", folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"lunglens: {folder / 'model.onnx'}: its input is not")
    assert not out.exists()


def test_a_lungs_package_without_a_fitted_gate_cannot_analyse_but_can_be_loaded(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_models() / "lungs", tmp_path / "lungs"))
    description = described(folder)
    del description["parameters"]["gate"]
    write_description(folder, description)
    assert load_package(folder).parameters.gate is None
    with pytest.raises(ModelPackageError, match="its gate is not fitted"):
        Analyzer.load(lungs=folder)


def test_the_fingerprint_follows_weights_and_parameters(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shipped_models() / "classifier", tmp_path / "c"))
    first = load_package(folder).fingerprint
    assert len(first) == 16
    assert load_package(shipped_models() / "classifier").fingerprint == first
    description = described(folder)
    write_description(folder, description | {"note": "kept, not used"})
    assert load_package(folder).fingerprint == first
    assert load_package(folder).description["note"] == "kept, not used"
    description["parameters"]["answer"]["threshold"] = 0.5
    write_description(folder, description)
    assert load_package(folder).fingerprint != first


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/hostname",
        "a/b",
        "..",
        ".",
        "",
        "a\\b",
        "C:\\x",
        "a\x00b",
        ".hidden",
        "ä.bin",
        "x" * 101,
        "a\n",
    ],
)
def test_checksums_name_plain_files_only(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    folder = package_of(graph_of(), tmp_path / "p")
    description = described(folder)
    description["checksums"][name] = sha256_of(tmp_path / "secret")
    (folder / "package.json").write_text(json.dumps(description))
    with pytest.raises(ModelPackageError, match="checksums"):
        load_package(folder)


@pytest.mark.parametrize("name", ["model.onnx", "README.md", "package.json"])
def test_links_that_lead_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    folder = package_of(graph_of(), tmp_path / "p")
    (folder / "README.md").write_text("card")
    description = described(folder)
    description["checksums"]["README.md"] = sha256_of(folder / "README.md")
    (folder / "package.json").write_text(json.dumps(description))
    assert load_package(folder).name == "odd 1"
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelPackageError):
        load_package(folder)


def test_a_changed_card_is_found_where_it_is_listed(tmp_path: Path) -> None:
    folder = package_of(graph_of(), tmp_path / "p")
    (folder / "README.md").write_text("sensitivity 60 %")
    description = described(folder)
    description["checksums"]["README.md"] = sha256_of(folder / "README.md")
    (folder / "package.json").write_text(json.dumps(description))
    (folder / "README.md").write_text("sensitivity 99 %")
    with pytest.raises(ModelPackageError, match=r"README\.md: does not have the checksum"):
        load_package(folder)


def test_a_pipe_in_the_place_of_the_graph_does_not_hang(tmp_path: Path) -> None:
    folder = package_of(graph_of(), tmp_path / "p")
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(ModelPackageError, match="missing"):
        load_package(folder)


@pytest.mark.parametrize("location", ["w.bin", "../w.bin", "{here}/w.bin", "*/_ORT_MEM_ADDR_/*", ""])
@pytest.mark.parametrize("hidden", [False, True])
def test_weights_in_other_files_are_refused_before_onnxruntime_sees_them(
    location: str, hidden: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = external(location.format(here=tmp_path))
    graph = graph_of() if hidden else graph_of(tensor)
    if hidden:  # as a constant's value within a branch that is never taken
        constant = helper.make_node("Constant", [], ["w"], value=tensor)
        shown = [helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])]
        branch = helper.make_graph([constant], "branch", [], shown)
        model = onnx.load_from_string(graph)
        model.graph.node.append(helper.make_node("If", ["images"], ["z"], then_branch=branch, else_branch=branch))
        graph = model.SerializeToString()
    folder = package_of(graph, tmp_path / "p")
    for place in (tmp_path, folder):
        np.arange(4, dtype=np.float32).tofile(place / "w.bin")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("onnxruntime was asked"))
    with pytest.raises(ModelPackageError, match="keeps weights in other files"):
        load_package(folder).run(np.zeros((1, 1, SIZE, SIZE), np.float32))


def test_weights_in_the_graph_itself_are_not_taken_for_external_ones() -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0, 1.0, 2.0, 3.0])
    assert not has_external_data(graph_of(tensor))
    tensor.data_location = TensorProto.DEFAULT
    assert not has_external_data(graph_of(tensor))
    for kind in KINDS:
        assert not has_external_data((shipped_models() / kind / "model.onnx").read_bytes())


@given(st.binary(max_size=300))
def test_bytes_that_are_no_graph_are_judged_without_a_crash(data: bytes) -> None:
    try:
        has_external_data(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (b"not protobuf at all", "is no ONNX graph"),
        (b"\x08\x08", "cannot load it"),
        (graph_of(inputs=SIZE + 1), "as package.json says"),
        (graph_of().replace(b"images", b"pixels"), "its input must be images"),
        (graph_of(), "needs an output features of 2 dimensions"),
        (graph_of(outputs=("probability", "features")), "needs an output features of 2 dimensions"),
        (graph_of().replace(b"Identity", b"Sabotage"), "cannot load it"),
    ],
)
def test_graphs_that_do_not_fit_are_refused_in_words(
    graph: bytes, complaint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = package_of(graph, tmp_path / "p")
    with pytest.raises(ModelPackageError, match=complaint) as caught:
        load_package(folder).run(np.zeros((1, 1, SIZE, SIZE), np.float32))
    assert str(folder) in str(caught.value)
    assert "ONNXRuntimeError" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_gives_no_numbers_or_fails_is_the_package_s_fault(tmp_path: Path) -> None:
    package = load_package(classifier_package(tmp_path / "p", ["a", "b"], [0.0]))
    size = package.input_size
    with pytest.raises(ModelPackageError, match="gives no numbers as probability"):
        package.run(np.full((1, 1, size, size), np.nan, np.float32))
    with pytest.raises(ModelPackageError, match="fails on images of"):
        package.run(np.zeros((1, 1, size, size + 1), np.float32))


def test_a_graph_for_other_classes_than_its_description_names_is_refused(tmp_path: Path) -> None:
    three = classifier_package(tmp_path / "p", ["a", "b", "c"], [0.0, 1.0, 2.0])
    (changed := described(three))["parameters"]["answer"]["classes"].append({"name": "d"})
    write_description(three, changed)
    with pytest.raises(ModelPackageError, match=r"gives 3 probabilities, and package\.json names 4 classes"):
        load_package(three).prepare()
    two = {"activation": "sigmoid", "classes": [{"name": "a"}, {"name": "b"}], "threshold": 0.5}
    changed["parameters"]["answer"] = two
    write_description(three, changed)
    with pytest.raises(ModelPackageError, match="needs an output probability of 1 dimensions"):
        load_package(three).prepare()


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0, 2**63])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["../x", "model.onnx", "/etc/passwd", "zz" * 32, "\ud800", "\x1b[31m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index, of long lists the first two."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [found for key, inner in inside for found in [(*path, key), *places(inner, (*path, key))]]


CHANGES: dict[str, Callable[[Any, Any, Any], None]] = {
    "drop": lambda holder, key, _: holder.pop(key),
    "replace": lambda holder, key, odd: holder.__setitem__(key, odd),
    "nest": lambda holder, key, _: holder.__setitem__(key, [holder[key]]),
    "text": lambda holder, key, _: holder.__setitem__(key, str(holder[key])[:50]),
    "rename": lambda holder, key, odd: (
        holder.__setitem__(str(odd)[:30], holder.pop(key)) if isinstance(holder, dict) else None
    ),
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        kind: Path(shutil.copytree(shipped_models() / kind, tmp_path_factory.mktemp("hostile") / kind))
        for kind in KINDS
    }


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_content_of_the_description_gives_anything_but_a_package_error(
    copies: dict[str, Path], data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    description = described(shipped_models() / kind)
    description["provenance"] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(description) or [("name",)]))
        holder: Any = description
        for key in path[:-1]:
            holder = holder[key]
        if isinstance(holder, (dict, list)) and holder:
            CHANGES[data.draw(st.sampled_from(sorted(CHANGES)))](holder, path[-1], data.draw(ODD))
    folder = copies[kind]
    (folder / "package.json").write_text(json.dumps(description))
    try:
        package = load_package(folder, TASKS[kind])
    except ModelPackageError as error:
        assert str(error).startswith(str(folder))
        assert str(error).isprintable()
        assert len(str(error)) < 1000
        return
    # What is loaded is fit for use: the parts that the analysis reads are there and of their types.
    assert package.name.isprintable()
    assert len(package.fingerprint) == 16
    assert math.isfinite(package.input_size)
    assert package.parameters.postprocess is not None


def test_a_description_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    folder = package_of(graph_of(), tmp_path / "p")
    before = (folder / "package.json").read_bytes()
    with pytest.raises(ModelPackageError, match=r"parameters\.postprocess\.threshold"):
        write_description(folder, described(folder) | {"parameters": {"postprocess": {"threshold": 1.5}}})
    assert (folder / "package.json").read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("classifier", ("answer", "threshold"), 0.0),
        ("lungs", ("postprocess", "threshold"), 0.4),
        ("orientation", ("mirrored_above",), -9.0),
    ],
)
def test_a_changed_parameter_is_refused(kind: str, path: tuple[str, ...], value: float, tmp_path: Path) -> None:
    folder = tmp_path / kind
    shutil.copytree(shipped_models() / kind, folder)
    description = described(folder)
    part = description["parameters"]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    (folder / "package.json").write_text(json.dumps(description))
    with pytest.raises(ModelPackageError, match="parameters do not have the checksum"):
        load_package(folder)
    write_description(folder, description)  # whoever exports a package again says so
    assert load_package(folder).description["parameters"] == description["parameters"]
