"""How many duplicates are found, and how many of those found are right, on real films.

    python benchmarks/duplicates_accuracy.py --data ROOT --out DIR [--count 300] [--seed 0]

Against the curated index (`classification.csv`, which the search does not see): files of one name in two sources, equal
perceptual hashes, groups that span sources; and near pairs that the index puts into different groups, which are written
as a page (`disagreeing/duplicates.html`) for a person to judge. Against planted copies of `count` films drawn from all:
each kind of copy is searched for among all films, its own original included.
"""

import argparse
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rich.console import Console

from lunglens.files import write_json
from lunglens.study.duplicates import find_duplicates, tie_groups, write_report
from lunglens.study.duplicates.describe import small_view
from lunglens.study.duplicates.fingerprint import Fingerprints, fingerprints
from lunglens.study.duplicates.near import Candidates, candidates, confirmed
from lunglens.study.duplicates.store import describe_all
from lunglens.study.manifest import manifest
from lunglens.study.sources import read_sources

Generator = np.random.Generator
Change = Callable[[Image.Image, Generator], Image.Image]


def resized(film: Image.Image, draw: Generator) -> Image.Image:
    """0.3 to 0.9 of the size."""
    factor = draw.uniform(0.3, 0.9)
    return film.resize((max(64, int(film.width * factor)), max(64, int(film.height * factor))))


def compressed(film: Image.Image, draw: Generator) -> Image.Image:
    """JPEG of quality 30 to 90."""
    stream = io.BytesIO()
    film.save(stream, "JPEG", quality=int(draw.integers(30, 91)))
    return Image.open(stream).convert("L")


def cropped(film: Image.Image, draw: Generator) -> Image.Image:
    """2 to 15 % of width and of height gone, split at random between the two sides."""
    (width, height), lost = film.size, draw.uniform(0.02, 0.15, 2)
    left, top = draw.uniform(0, lost) * film.size
    return film.crop((int(left), int(top), int(left + (1 - lost[0]) * width), int(top + (1 - lost[1]) * height)))


def cropped_each_side(film: Image.Image, draw: Generator) -> Image.Image:
    """2 to 15 % gone at each of the four sides."""
    left, top, right, bottom = draw.uniform(0.02, 0.15, 4) * (*film.size, *film.size)
    return film.crop((int(left), int(top), int(film.width - right), int(film.height - bottom)))


def bordered(film: Image.Image, draw: Generator) -> Image.Image:
    """Black, white or gray borders of 0 to 12 % at each side."""
    left, top, right, bottom = (draw.uniform(0, 0.12, 4) * (*film.size, *film.size)).astype(int)
    canvas = Image.new("L", (film.width + left + right, film.height + top + bottom), int(draw.choice([0, 255, 128])))
    canvas.paste(film, (int(left), int(top)))
    return canvas


def toned(film: Image.Image, draw: Generator) -> Image.Image:
    """Gamma 0.6 to 1.6, contrast 0.6 to 1.4, brightness +-0.12, clipped."""
    values = (np.asarray(film) / 255) ** draw.uniform(0.6, 1.6)
    values = (values - 0.5) * draw.uniform(0.6, 1.4) + 0.5 + draw.uniform(-0.12, 0.12)
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def marked(film: Image.Image, draw: Generator) -> Image.Image:
    """A circle or letters of about 6 % of the width."""
    copy, gray = film.copy(), int(draw.choice([0, 255]))
    x, y, size = draw.uniform(0.05, 0.85) * film.width, draw.uniform(0.05, 0.9) * film.height, 0.06 * film.width
    if draw.random() < 0.5:
        ImageDraw.Draw(copy).ellipse((x, y, x + size, y + size), outline=gray, width=3)
    else:
        ImageDraw.Draw(copy).text((x, y), "L AP", fill=gray, font_size=max(10, size / 1.5))
    return copy


def inverted(film: Image.Image, draw: Generator) -> Image.Image:  # noqa: ARG001
    """Black and white exchanged."""
    return Image.fromarray(255 - np.asarray(film))


COPIES: dict[str, tuple[Change, ...]] = {
    "resized": (resized,),
    "JPEG": (compressed,),
    "cropped": (cropped,),
    "cropped at each side": (cropped_each_side,),
    "bordered": (bordered,),
    "contrast and brightness": (toned,),
    "marker": (marked,),
    "inverted": (inverted,),
    "cropped, toned, marked, resized, JPEG": (cropped, toned, marked, resized, compressed),
    "cropped, bordered, toned, resized, JPEG": (cropped, bordered, toned, resized, compressed),
}


def views_of_copies(job: tuple[str, int, int]) -> NDArray[np.uint8]:
    """The small views of every kind of copy of one film."""
    path, row, seed = job
    draw, film, views = np.random.default_rng([seed, row]), Image.open(path).convert("L"), []
    for changes in COPIES.values():
        copy = film
        for change in changes:
            copy = change(copy, draw)
        views.append(small_view(np.asarray(copy, np.float32) / 255))
    return np.stack(views)


def planted(table: pd.DataFrame, cache: Path, count: int, seed: int) -> dict[str, Any]:
    """Recall for each kind of copy, and what else the copies are said to equal."""
    console = Console()
    known = describe_all(sorted(table["path"]), cache, console, [])
    paths = sorted(known)
    originals = np.sort(np.random.default_rng(seed).choice(len(paths), count, replace=False))
    with ProcessPoolExecutor() as pool:
        jobs = [(paths[row], int(row), seed) for row in originals]
        copies = np.stack(list(pool.map(views_of_copies, jobs, chunksize=16)))
    films = np.stack([known[path].view for path in paths])
    # Aligned to the average once for all; each kind of copy is then searched for with no other kind about.
    prints = fingerprints(np.concatenate([films, *copies.swapaxes(0, 1)]))
    result = {}
    for kind, name in enumerate(COPIES):
        views = np.concatenate([films, copies[:, kind]])
        own = np.r_[: len(films), len(films) + kind * count : len(films) + (kind + 1) * count]
        part = Fingerprints(prints.warps[own], prints.sign[own], prints.plain[own], prints.aligned[own])
        found = candidates(part)
        of_copy = (found.pairs[:, 1] >= len(films)) & (found.pairs[:, 0] < len(films))
        kept = Candidates(found.pairs[of_copy], found.similarity[of_copy], found.start[of_copy])
        near = {tuple(pair) for pair in confirmed(views, part.sign, kept).pairs}
        wanted = {(row, len(films) + place) for place, row in enumerate(originals)}
        result[name] = {
            "candidates": len(wanted & {tuple(pair) for pair in kept.pairs}) / count,
            "found": len(wanted & near) / count,
            "also_paired_with_another_film": len(near - wanted),
        }
        console.print(name, result[name])
    return result


def against_index(table: pd.DataFrame, pairs: pd.DataFrame, root: Path, out: Path) -> dict[str, Any]:
    """What the index and the search say of the same films."""
    index = pd.read_csv(root / "classification.csv", dtype=str, keep_default_na=False)
    index["path"] = [str(root / image) for image in index["image"]]
    index = index[index["path"].isin(table["path"])].set_index("path")
    films = pairs[pairs["kind"].isin(["exact", "near"])]
    direct = {frozenset(pair) for pair in zip(films["first"], films["second"], strict=True)}
    apart = table.assign(group_id=[f"film {row}" for row in range(len(table))])
    tied = pd.Series(tie_groups(apart, films).to_numpy(), index=table["path"])
    tied_all = pd.Series(tie_groups(apart, pairs).to_numpy(), index=table["path"])

    def recall(wanted: list[tuple[str, str]]) -> dict[str, int]:
        return {
            "pairs": len(wanted),
            "direct": sum(frozenset(pair) in direct for pair in wanted),
            "tied_by_pixels": sum(tied[first] == tied[second] for first, second in wanted),
            "tied": sum(tied_all[first] == tied_all[second] for first, second in wanted),
        }

    known = films[films["first"].isin(index.index) & films["second"].isin(index.index)]
    agree = index.loc[known["first"], "group_id"].to_numpy() == index.loc[known["second"], "group_id"].to_numpy()
    write_report(known[~agree], out / "disagreeing")
    sources = index.groupby("group_id")["source"].nunique()
    spanning = index[index["group_id"].isin(sources[sources > 1].index)]
    joined = spanning.assign(tied=tied).groupby(["group_id", "tied"])["source"].nunique()
    named = index[index["duplicate_labels"] != ""]
    partner = set(films["first"]) | set(films["second"])
    return {
        "films_in_both": len(index),
        "same_file_name_in_two_sources": recall(_alike(index, index.index.map(lambda path: Path(path).stem))),
        "equal_phash": recall(_alike(index, index["phash"])),
        "groups_spanning_sources": {
            "groups": int((sources > 1).sum()),
            "sources_joined_by_pixels": int((joined.groupby("group_id").max() > 1).sum()),
        },
        "duplicate_labels": {
            "rows": len(named),
            "with_a_pair_here": int(named.index.isin(list(partner)).sum()),
            "of_label_conflict": [
                int(named[named["label_conflict"] != ""].index.isin(list(partner)).sum()),
                int((named["label_conflict"] != "").sum()),
            ],
        },
        "pairs_found": {"in_index": len(known), "same_group": int(agree.sum()), "other_group": int((~agree).sum())},
    }


def _alike(index: pd.DataFrame, key: Any) -> list[tuple[str, str]]:
    return [pair for _, rows in index.groupby(key) if len(rows) > 1 for pair in combinations(rows.index, 2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = manifest(read_sources(arguments.data))
    start = time.perf_counter()
    pairs = find_duplicates(table, arguments.out / "cache", Console())
    result: dict[str, Any] = {"films": len(table), "seconds": round(time.perf_counter() - start, 1)}
    result["pairs"] = pairs["kind"].value_counts().to_dict()
    result["index"] = against_index(table, pairs, arguments.data, arguments.out)
    write_json(arguments.out / "accuracy.json", result)
    result["planted"] = planted(table, arguments.out / "cache", arguments.count, arguments.seed)
    write_json(arguments.out / "accuracy.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
