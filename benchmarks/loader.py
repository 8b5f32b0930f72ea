"""Is the loader the bottleneck? Share of a training step that is spent waiting for data, augmenting, and computing.

    python benchmarks/loader.py STUDY --config cpu --out results/loader.json [--steps 40]

Reads the study's films through the memory-mapped cache that cross-validation uses, on one thread. For comparison the
same batches are decoded from the study's PNG files each time, as a loader without a cache would.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from lunglens.files import write_json
from lunglens.study.config import load_config
from lunglens.study.folder import load_study
from lunglens.train.augment import augment
from lunglens.train.classifier import ViewImages
from lunglens.train.networks.classifier import Classifier
from lunglens.train.precision import fastest
from lunglens.train.views import read_views, view_of, write_views


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--config", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    study, config = load_study(arguments.study), load_config(arguments.config).classifier
    batch = config.optimization.batch_size
    precision = fastest()[0] if config.optimization.precision == "auto" else config.optimization.precision
    names = list(study.table["image_id"])
    with tempfile.TemporaryDirectory() as folder:
        write_views(study, names, config.view, Path(folder))
        views = read_views(Path(folder))
        images = ViewImages(views, pd.Series(np.zeros(len(names))))
        loader = iter(DataLoader(images, batch_size=batch, shuffle=True, drop_last=True))
        classifier = Classifier(config.backbone, config.head, config.dropout).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(classifier.parameters())
        waiting, augmenting, computing = [], [], []
        for _ in range(arguments.steps):
            started = time.perf_counter()
            films, masks, targets = next(loader)
            loaded = time.perf_counter()
            shown, masks = augment(films.float() / 255, masks.float(), config.augment)
            shown = (shown * masks).contiguous(memory_format=torch.channels_last)
            augmented = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = binary_cross_entropy_with_logits(classifier(shown).float(), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            waiting.append(loaded - started)
            augmenting.append(augmented - loaded)
            computing.append(time.perf_counter() - augmented)
    rows = study.table.sample(batch * 5, random_state=0)
    started = time.perf_counter()
    for film, mask in zip(rows["film"], rows["mask"], strict=True):
        view_of(study.folder / film, study.folder / mask, config.view)
    decoding = (time.perf_counter() - started) / 5
    step = float(np.median(np.add(np.add(waiting, augmenting), computing)))
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "study": study.fingerprint,
        "batch": batch,
        "step_ms": round(1000 * step, 1),
        "waiting_share": round(float(np.median(waiting)) / step, 4),
        "augmenting_share": round(float(np.median(augmenting)) / step, 4),
        "computing_share": round(float(np.median(computing)) / step, 4),
        "without_cache_waiting_share": round(decoding / (decoding + step - float(np.median(waiting))), 4),
    }
    print(found)
    write_json(arguments.out, found)


if __name__ == "__main__":
    main()
