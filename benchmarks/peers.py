"""LungLens beside other packages' networks, each with its own reading code: time, memory and what is installed.

    python benchmarks/peers.py --ours VENV --theirs VENV --out results/peers.json [FILM ...] [--rounds 5]

VENVs made by `python -m venv` and `pip install lunglens`, or `pip install torchxrayvision segmentation-models-pytorch
pydicom`; theirs share one. They run with **random weights** of the published shapes: their time does not depend on
them, and no answer is compared. Each in a fresh process on all cores, rounds alternating: seconds from the start to the
first film's answer, then the median of warm films, and the most memory. They do not do the same: LungLens reads the
film, asks its gate, finds lungs, orientation, both answers and heat-map; torchxrayvision's pipeline gives 14 organs and
18 findings, the UNet 159 organs (the shape of CXAS), the DenseNet one answer.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import data_store

from lunglens.files import write_json

FILM = Path(data_store.__file__).parent / "data" / "RG1_UNCR.dcm"
OURS = "lunglens"
# What each defines: answer(path).
CODE = {
    OURS: """
from lunglens import Analyzer
from lunglens.film.radiograph import read_radiograph
analyzer = Analyzer.load()
def answer(path):
    return analyzer.analyze(read_radiograph(path))
""",
    "torchxrayvision: PSPNet (512 px) and DenseNet121 (224 px)": """
import torch, torchxrayvision as xrv
from torchxrayvision.baseline_models.chestx_det import PSPNet
from torchxrayvision.baseline_models.chestx_det.ptsemseg.pspnet import pspnet
xrv.utils.warn_normalization = lambda image: None
weights = {"module." + name: value for name, value in pspnet(14).state_dict().items()}
torch.save(weights, "pspnet_chestxray_best_model_4.pth")
organs, findings = PSPNet(cache_dir="."), xrv.models.DenseNet(weights=None, num_classes=18).eval()
def answer(path):
    film = xrv.datasets.XRayCenterCrop()(xrv.utils.load_image(path))
    sizes = [torch.from_numpy(xrv.datasets.XRayResizer(side)(film))[None] for side in (512, 224)]
    with torch.inference_mode():
        return organs(sizes[0]), findings(sizes[1])
""",
    "segmentation-models-pytorch: UNet-ResNet50, 159 organs (512 px)": """
import pydicom, segmentation_models_pytorch as smp, torch
network = smp.Unet("resnet50", encoder_weights=None, classes=159).eval()
def answer(path):
    film = torch.from_numpy(pydicom.dcmread(path).pixel_array.astype("float32"))[None, None]
    small = torch.nn.functional.interpolate(film / film.max(), (512, 512), mode="bilinear", antialias=True)
    with torch.inference_mode():
        return network(small.repeat(1, 3, 1, 1)).sigmoid() > 0.5
""",
    "torchvision: DenseNet121 (224 px)": """
import pydicom, torch, torchvision
network = torchvision.models.densenet121(num_classes=2).eval()
def answer(path):
    film = torch.from_numpy(pydicom.dcmread(path).pixel_array.astype("float32"))[None, None]
    small = torch.nn.functional.interpolate(film / film.max(), (224, 224), mode="bilinear", antialias=True)
    with torch.inference_mode():
        return network(small.repeat(1, 3, 1, 1)).softmax(1)
""",
}
TIMED = """
import json, statistics, sys, time
films = sys.argv[1:]
answer(films[0])
first, warm = time.time(), []
for path in films * 3:
    start = time.perf_counter()
    answer(path)
    warm.append(time.perf_counter() - start)
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"first": first, "film_ms": 1000 * statistics.median(warm), "peak_mb": peak}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, nargs="*", default=[FILM])
    parser.add_argument("--ours", type=Path, required=True)
    parser.add_argument("--theirs", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    settings = parser.parse_args()
    rounds = [
        {name: measured(settings.ours if name == OURS else settings.theirs, code, settings.films)}
        for _ in range(settings.rounds)
        for name, code in CODE.items()
    ]
    of_each = {name: [one[name] for one in rounds if name in one] for name in CODE}
    sizes = {name: megabytes(settings.ours if name == OURS else settings.theirs) for name in CODE}
    found = {name: summary(values, of_each[OURS], sizes[name]) for name, values in of_each.items()}
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": settings.rounds,
        "films": [film.name for film in settings.films],
        "packages": versions(settings.theirs),
    }
    write_json(settings.out, about | {"measured": found})
    print(settings.out.read_text())


def measured(environment: Path, code: str, films: list[Path]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(environment / "bin" / "python"), "-c", code + TIMED, *(str(film.resolve()) for film in films)]
        start = time.time()
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=alone)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"first_answer_s": found["first"] - start, "film_ms": found["film_ms"], "peak_mb": found["peak_mb"]}


def summary(values: list[dict[str, float]], ours: list[dict[str, float]], megabytes: int) -> dict[str, Any]:
    """Medians, and how often ours each is, round by round, with the least and the most."""
    found: dict[str, Any] = {"installed_mb": megabytes}
    for name in ("first_answer_s", "film_ms", "peak_mb"):
        found[name] = round(statistics.median(one[name] for one in values), 2)
        ratios = [theirs[name] / its[name] for theirs, its in zip(values, ours, strict=True)]
        found[f"{name}_to_ours"] = [round(pick(ratios), 2) for pick in (statistics.median, min, max)]
    return found


def megabytes(environment: Path) -> int:
    """Of the packages, without pip's own."""
    files = [path for path in (environment / "lib").rglob("*") if not {"pip", "setuptools"} & set(path.parts)]
    return round(sum(path.lstat().st_size for path in files if not path.is_dir()) / 1e6)


def versions(environment: Path) -> str:
    command = [str(environment / "bin" / "python"), "-m", "pip", "list", "--format", "freeze"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    of_interest = ("torch==", "torchvision==", "torchxrayvision==", "segmentation_models_pytorch==")
    return ", ".join(line for line in lines if line.startswith(of_interest))


if __name__ == "__main__":
    main()
