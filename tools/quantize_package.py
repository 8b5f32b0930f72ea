"""Let a lungs package's decoder reckon with integers of 8 bits, and say how its lungs then differ.

    python tools/quantize_package.py PACKAGE --data DATA --out FOLDER [--version VERSION] --report FILE

What leads to the output `features`, the encoder, stays as it is: the gate was fitted on these. The scales of the rest
come from films that the network was trained on, and from the validation part a shift of the last bias, with which masks
are as large as before. Measured is on patients of the test part, and on OpenIST, film by film before and after.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from halve_package import halve
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from rich.console import Console

from lunglens.evaluate.intervals import bootstrap
from lunglens.files import sha256_of, write_bytes, write_json
from lunglens.film.model_package.package import (
    ModelPackage,
    golden_input,
    golden_summary,
    load_package,
    verify_package,
    write_description,
)
from lunglens.film.model_package.record import GRAPH
from lunglens.film.preprocess import film_square
from lunglens.film.radiograph import read_radiograph
from lunglens.study.config.training import LungsConfig
from lunglens.study.manifest import split_by_group
from lunglens.text import markdown_table
from lunglens.train.lungs.measure import measure_films
from lunglens.train.lungs.training import masked_films
from lunglens.train.provenance import films_fingerprint, today

PER_SOURCE = 24  # films that the scales are taken from
SEEN_BY_THE_GATE = "features"
CONSOLE = Console(stderr=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--version")
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    before = load_package(arguments.package, "lungs")
    config = LungsConfig.model_validate(before.record.provenance["config"])
    films = masked_films(arguments.data, config)
    films["part"] = split_by_group(films, config.split)
    shown = films[films["part"] == "train"].groupby("source").sample(PER_SOURCE, random_state=0)
    shutil.copytree(arguments.package, arguments.out, dirs_exist_ok=True)
    quantize(arguments.package / GRAPH, arguments.out / GRAPH, _Shown(shown, before.input_size))
    description = before.description | {"version": arguments.version or before.record.version}
    correct(before, written(arguments.out, description), films[films["part"] == "validation"])
    after = written(arguments.out, description)
    if problems := verify_package(after):
        raise SystemExit("\n".join(problems))
    elsewhere = masked_films(arguments.data, LungsConfig(masks=("fields",), sources=("openist",)))
    tested = pd.concat([films[films["part"] == "test"], elsewhere], ignore_index=True)
    report = differences(tested, before, after)
    bytes_of = {one.name: (one.folder / GRAPH).stat().st_size for one in (before, after)}
    about = {"date": today(), "data_fingerprint": films_fingerprint(tested), "bytes": bytes_of}
    write_json(arguments.report, about | {"differences": report})
    head = ["films", "n", "before", "after", "difference", "95 %"]
    rows = [
        [f"{name}, {what}", str(one["n"]), *(f"{one[key]:.5f}" for key in head[2:5]), str(one["95_ci"])]
        for name, measures in report.items()
        for what, one in measures.items()
    ]
    print("\n".join(markdown_table(head, rows)))


def written(folder: Path, description: dict[str, Any]) -> ModelPackage[Any]:
    """The package with its graph as it now is: checksum and golden case."""
    now = description | {"checksums": description["checksums"] | {GRAPH: sha256_of(folder / GRAPH)}}
    write_description(folder, now)
    golden = golden_summary(load_package(folder).run(golden_input(description["input_size"])))
    write_description(folder, now | {"golden": golden})
    return load_package(folder, "lungs")


class _Shown(CalibrationDataReader):
    """Films, one after the other, as the network is given them."""

    def __init__(self, films: pd.DataFrame, size: int) -> None:
        squares = (film_square(read_radiograph(Path(path)).pixels, size) for path in films["path"])
        self._films = ({"images": square[None, None]} for square in squares)

    def get_next(self) -> dict[str, Any] | None:
        """As the base class."""
        return next(self._films, None)


def quantize(graph: Path, out: Path, films: CalibrationDataReader) -> None:
    """Convolutions behind `features` become integer ones, and weights of the others float16 in the file.

    Weights have 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 would overflow.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, integer = Path(folder) / "plain.onnx", Path(folder) / "integer.onnx"
        quant_pre_process(str(graph), str(plain), skip_symbolic_shape=True)
        kept = onnx.load(plain).graph
        quantize_static(
            str(plain),
            str(integer),
            films,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "ConvTranspose"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_exclude=[*ancestors(kept, SEEN_BY_THE_GATE), last_layer(kept).name],
        )
        model = onnx.load(integer)
    halve(model.graph)
    write_bytes(out, model.SerializeToString())


def last_layer(graph: onnx.GraphProto) -> onnx.NodeProto:
    """The convolution whose sigmoid the probabilities are."""
    maker = {name: node for node in graph.node for name in node.output}
    node = maker["probability"]
    while node.op_type != "Conv":
        node = maker[node.input[0]]
    return node


def correct(before: ModelPackage[Any], after: ModelPackage[Any], films: pd.DataFrame) -> None:
    """Shift the last layer's bias so that on these films the masks are as large as before, on the average."""
    settings = before.parameters.postprocess
    shown = [one["images"] for one in iter(_Shown(films, before.input_size).get_next, None)]
    wanted, found = (np.stack([one.run(film)["probability"][0] for film in shown]) for one in (before, after))
    logits = np.log(np.clip(found, 1e-6, 1 - 1e-6) / np.clip(1 - found, 1e-6, 1))
    model = onnx.load(after.folder / GRAPH)
    bias = next(one for one in model.graph.initializer if one.name == last_layer(model.graph).input[2])
    shifts = []
    for mask, threshold in enumerate((settings.threshold, settings.region_threshold)):
        area, at = (wanted[:, mask] >= threshold).mean(), np.log(threshold / (1 - threshold))
        shifts.append(at - np.quantile(logits[:, mask], 1 - area))
    print("shifts of the last bias", np.round(shifts, 5))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.array(shifts, np.float32), bias.name))
    write_bytes(after.folder / GRAPH, model.SerializeToString())


def ancestors(graph: onnx.GraphProto, output: str) -> list[str]:
    """Names of the nodes that an output needs."""
    maker = {name: node for node in graph.node for name in node.output}
    needed, waiting = set[str](), [output]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.name not in needed:
            needed.add(node.name)
            waiting += node.input
    return sorted(needed)


def differences(films: pd.DataFrame, before: ModelPackage[Any], after: ModelPackage[Any]) -> dict[str, Any]:
    """By mask and source: Dice and what of the lung is covered, before and after, and the paired difference."""
    one, other = (measure_films(films, package, CONSOLE) for package in (before, after))
    groups = one["group_id"].where(one["group_id"] != "", one["path"])
    found: dict[str, Any] = {}
    for (rule, source), rows in one.groupby(["mask_rule", "source"]):
        of_films = found[f"{rule} of {source}"] = {}
        for what in ("dice", "covered"):
            changed = other.loc[rows.index, what]
            gain = (changed - rows[what]).to_numpy()
            means = {"before": rows[what].mean(), "after": changed.mean(), "difference": gain.mean()}
            ci = bootstrap(lambda at, gain=gain: float(gain[at].mean()), groups[rows.index].to_numpy(), digits=6)
            of_films[what] = {"n": len(rows), **{name: round(float(v), 6) for name, v in means.items()}, "95_ci": ci}
    return found


if __name__ == "__main__":
    main()
