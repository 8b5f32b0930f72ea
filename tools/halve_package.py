"""Store a package's weights as float16, for half the size, and say by how much its answers then differ.

    python tools/halve_package.py PACKAGE --out FOLDER [--name NAME] [--version VERSION] [--films FOLDER]

The graph turns them back into float32 when it is loaded, and computes as before. FILMS: PNG or JPEG files, on whose
gray values (squashed, without a mask) the answers are compared too; without any on the golden case alone.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from lunglens.files import sha256_of, write_bytes
from lunglens.film.model_package.package import (
    golden_input,
    golden_summary,
    load_package,
    verify_package,
    write_description,
)
from lunglens.film.model_package.record import GRAPH

LEAST = 256  # numbers; smaller tensors stay as they are
MOST = 5e-3  # that probabilities may differ on the average of an input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name")
    parser.add_argument("--version")
    parser.add_argument("--films", type=Path)
    arguments = parser.parse_args()
    before = load_package(arguments.package)
    shutil.copytree(arguments.package, arguments.out, dirs_exist_ok=True)
    model = onnx.load(arguments.package / GRAPH)
    halve(model.graph)
    write_bytes(arguments.out / GRAPH, model.SerializeToString())
    description = before.description
    description["name"] = arguments.name or before.record.name
    description["version"] = arguments.version or before.record.version
    description["checksums"] = before.record.checksums | {GRAPH: sha256_of(arguments.out / GRAPH)}
    write_description(arguments.out, description)
    after = load_package(arguments.out)
    examples = [golden_input(before.input_size, before.parameters.channels)]
    examples += inputs(arguments.films, before.input_size, before.parameters.channels)
    differences = [
        np.abs(before.run(example)["probability"] - after.run(example)["probability"]) for example in examples
    ]
    worst, mean = max(float(one.max()) for one in differences), max(float(one.mean()) for one in differences)
    write_description(arguments.out, description | {"golden": golden_summary(after.run(examples[0]))})
    problems = verify_package(load_package(arguments.out))
    size = (arguments.out / GRAPH).stat().st_size
    said = f"at most {worst:.2g}, on the average of an input at most {mean:.2g}"
    print(f"{size:,} bytes; probabilities of {len(examples)} inputs differ by {said}; {problems or 'good'}")
    if mean > MOST or problems:
        raise SystemExit(1)


def halve(graph: onnx.GraphProto) -> None:
    """Replace each large float32 initializer by a float16 one and a node that casts it back."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < LEAST:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def inputs(folder: Path | None, size: int, channels: int) -> list[np.ndarray]:
    """(1, channels, S, S) of each picture of a folder; a second channel is all ones."""
    found = []
    for path in sorted(folder.iterdir()) if folder else []:
        with Image.open(path) as image:
            gray = np.asarray(image.convert("L").resize((size, size)), np.float32) / 255
        found.append(np.stack([gray, np.ones_like(gray)])[None, :channels])
    return found


if __name__ == "__main__":
    main()
