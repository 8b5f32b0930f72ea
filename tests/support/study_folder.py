"""A small made-up study folder (format 2), with names that a careless page would run as code."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lunglens.study.folder import COLUMNS
from tests.support.phantom import chest, save_png

__all__ = ["COLUMNS", "HOSTILE", "edit_manifest", "outline_of", "study_folder", "write_csv"]

HOSTILE = "<script>alert(1)</script>"


def study_folder(folder: Path, count: int = 12, *, both: bool = False, **changes: Any) -> Path:
    """A study of `count` films of class covid (one source) and of class other (another source, or both sources).

    `changes` replace cells of every row. Films of covid are 512x400, of other 512x512; every third age is unknown.
    """
    rows = []
    for index in range(2 * count):
        name = "covid" if index < count else "other"
        source = ("here", "there")[index % 2 if both else index >= count]
        image_id = f"{source}-{index:03d}"
        film, lungs = chest(index, 512)
        save_png(film, folder / "films" / f"{image_id}.png")
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(lungs).save(folder / "masks" / f"{image_id}.png")
        row = dict.fromkeys(COLUMNS, "")
        row |= {"image_id": image_id, "class": name, "source": source, "path": f"{source}/images/{index:03d}.png"}
        row |= {"patient_id": str(index), "group_id": f"{source}-{index}", "view": "PA", "modality": "X-ray"}
        row |= {"age_years": "" if index % 3 == 0 else str(30 + index), "sex": "F", "diagnosis": name}
        row |= {
            "licence": "CC0",
            "citation": "Doe 2020",
            "width_px": "512",
            "height_px": str(400 + 112 * (name == "other")),
        }
        row |= {"bits": "8", "border_px": "0", "lung_px": str(int(lungs.sum()))}
        row |= {
            "film": f"films/{image_id}.png",
            "mask": f"masks/{image_id}.png",
            "cut": f"images/{name}/{image_id}.png",
        }
        rows.append(row | changes)
    write_csv(folder / "manifest.csv", rows)
    diagnoses = [
        ("here", "covid", "X-ray", "PA", count + 5),
        ("here", "covid", "CT", "Axial", 3),
        ("here", "", "", "", 2),
    ]
    names = ("source", "diagnosis", "modality", "view", "n")
    write_csv(folder / "diagnoses.csv", [dict(zip(names, line, strict=True)) for line in diagnoses])
    problem = {"file": "here/metadata.csv", "row": "7", "column": "age", "message": "'x' is not an age"}
    write_csv(folder / "problems.csv", [problem, problem | {"row": "", "column": "", "message": HOSTILE}])
    (folder / "counts.json").write_text(json.dumps(counts(rows, count)))
    about = {"format": 2, "name": f"made up {HOSTILE}", "classes": ["covid", "other"], "fingerprint": "ab" * 32}
    about |= {"data_root": "/data", "lungs_model": "lungs 1", "versions": {"lunglens": "0.1.0"}, "seed": 3}
    (folder / "study.json").write_text(json.dumps(about))
    return folder


def counts(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Ten more films of covid were read, 7 go by their view and 3 by their lungs; 4 films are of no class."""
    other: dict[str, int] = {}
    for row in rows[count:]:
        other[row["source"]] = other.get(row["source"], 0) + 1
    steps = [("0 read", "read", "everything", 10, 4), ("1 diagnosis", "diagnosis", "of a class", 10, 0)]
    steps += [("2 view", "view", "view PA", 3, 0), ("3 lungs", "lungs", "50,000 px of lungs", 0, 0)]
    found, before = [], 0
    for step, kind, words, more, none in steps:
        kept = {"covid": {"here": count + more}, "other": other, "none of the classes": {"here": none} if none else {}}
        total = 2 * count + more + none
        dropped, before = (before - total if found else 0), total
        found.append({"step": step, "kind": kind, "words": words, "kept": kept, "dropped": dropped, "unknown_kept": 1})
    return found


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows of equal keys as CSV."""
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, listed[0].keys())
        writer.writeheader()
        writer.writerows(listed)


def edit_manifest(folder: Path, change: Any) -> None:
    """Pass every row of a study's manifest through `change(index, row)`."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    write_csv(folder / "manifest.csv", [row | change(index, row) for index, row in enumerate(rows)])


def outline_of(film: np.ndarray) -> int:
    """Number of pixels in the outline's colour (amber) of an (H, W, 3) picture."""
    red, green, blue = film[..., 0].astype(int), film[..., 1].astype(int), film[..., 2].astype(int)
    return int(((red > 150) & (red - blue > 60) & (green > blue)).sum())
