"""Time of the search for near copies on made-up films, and how it grows.

    python benchmarks/duplicates.py [--sizes 1000,10000,100000] [--confirm] [--out FILE]

The search (all fingerprints against all) grows with the square of the number of films; it is timed on random unit
vectors of the real length around one common vector, so that films are as alike (cosine 0.75) as real ones. With
--confirm, views are made up too and the parts that grow with the number of films (alignment to the average film,
confirmation of the candidates) are timed at each size as well; reading the files is not part of it.
"""

import argparse
import json
import math
import os
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lunglens.study.duplicates.fingerprint import fingerprints, vectors
from lunglens.study.duplicates.near import candidates, confirmed
from lunglens.study.duplicates.search import similar_pairs

ALIKE = 0.75  # cosine between two films taken at random


def random_vectors(count: int) -> NDArray[np.float32]:
    """Unit vectors (count, d) with a cosine of about ALIKE between any two."""
    length = vectors(np.zeros((1, 64, 64), np.float32)).shape[1]
    generator = np.random.default_rng(0)
    own = generator.standard_normal((count, length), np.float32) * math.sqrt((1 - ALIKE) / length)
    common = generator.standard_normal(length)
    made = own + (math.sqrt(ALIKE) * common / np.linalg.norm(common)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


def random_views(count: int) -> NDArray[np.uint8]:
    """Views (count, 64, 64): two dark fields common to all, and structure of their own."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    chest = 150 - 110 * np.exp(-(((np.abs(x) - 0.42) / 0.28) ** 2 + (y / 0.6) ** 2))
    made = np.empty((count, 64, 64), np.uint8)
    for start in range(0, count, 1000):
        noise = generator.standard_normal((min(1000, count - start), 64, 64), np.float32)
        structure = 90 * ndimage.gaussian_filter(noise, (0, 2, 2))
        made[start : start + 1000] = np.clip(chest + structure, 0, 255)
    return made


def measure(count: int, confirm: bool) -> dict[str, float]:
    """Seconds of each part for `count` films."""
    films = random_vectors(count)
    start = time.perf_counter()
    for _ in range(2):  # of the film as it is, and aligned
        similar_pairs(films)
    row = {"films": count, "search_s": round(time.perf_counter() - start, 2)}
    if confirm:
        views = random_views(count)
        start = time.perf_counter()
        prints = fingerprints(views)
        row["fingerprints_s"] = round(time.perf_counter() - start, 2)
        found = candidates(prints)
        start = time.perf_counter()
        confirmed(views, prints.sign, found)
        row |= {"confirm_s": round(time.perf_counter() - start, 2), "candidates": len(found.pairs)}
    return row | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,30000,100000")
    parser.add_argument("--confirm", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    for size in arguments.sizes.split(","):
        rows.append(measure(int(size), arguments.confirm))
        print(json.dumps(rows[-1]), flush=True)
    first, last = rows[-2:] if len(rows) > 1 else (rows[0], rows[0])
    growth = None
    if last["films"] > first["films"]:
        growth = math.log(last["search_s"] / first["search_s"]) / math.log(last["films"] / first["films"])
        print(f"search grows with the power {growth:.2f} of the number of films")
    if arguments.out:
        result = {"cores": os.cpu_count(), "numpy": np.__version__, "rows": rows, "search_exponent": growth}
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
