"""`review.html` of a study: one page on which a person looks through the films and strikes out what does not belong.

The paper left out side views, washed-out films, drawn markers, medical equipment and scans of PDF pages by hand
(section 3.1). The page holds every film as a thumbnail, needs no network and no server, and saves `exclude.csv` (image,
reason), which `lunglens curate` reads.
"""

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.files import templates, write_bytes
from lunglens.study.report.tables import StudyTables, read_tables
from lunglens.study.report.thumbnails import fitted, jpeg_uri, read_gray

REASONS = ("side view", "washed out", "marker", "equipment", "PDF scan")  # keys 1 to 5
THUMBNAIL_PX, QUALITY = 384, 70
_OUTLINE_PX = 96  # the mask is outlined at this size: a thousand outlines take 1 MB


def write_review(study: Path, console: Console | None = None) -> Path:
    """Write the review page of a study folder; returns its path. 1,000 films make about 20 MB.

    Raises:
        DataError: the folder holds no study of format 1, or lacks a table.
        OSError: the page cannot be written.
    """
    found = read_tables(study)
    films = track(_films(found), "drawing", total=len(found.images), console=console or Console(stderr=True))
    content = {"fingerprint": found.about["fingerprint"], "reasons": REASONS, "images": list(films)}
    script = files(__package__).joinpath("review.js").read_text(encoding="utf-8")
    style = files(__package__).joinpath("review.css").read_text(encoding="utf-8")
    template = templates(__package__).get_template("review.html.jinja")
    page = study / "review.html"
    text = template.render(
        name=found.about["name"],
        reasons=REASONS,
        classes=found.classes,
        sources=sorted(found.images["source"].unique()),
        content=content,
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )
    write_bytes(page, text.encode())
    return page


def _films(study: StudyTables) -> Iterator[dict[str, Any]]:
    for row in study.images.sort_values(["class", "source", "path"], kind="stable").to_dict(orient="records"):
        yield {
            "path": row["path"],
            "class": row["class"],
            "source": row["source"],
            "about": _about(row),
            "jpeg": _thumbnail(study.folder / row["film"], row["width_px"], row["height_px"]),
            "outline": _outline(study.folder / row["mask"]),
        }


def _about(row: dict[Any, Any]) -> str:
    """What is known of a film, in a line."""
    age = None if pd.isna(row["age_years"]) else f"{row['age_years']:.0f} years"
    known = [row["view"] and f"view {row['view']}", age, row["sex"], row["diagnosis"]]
    return ", ".join(text for text in known if text)


def _thumbnail(film: Path, width_px: float, height_px: float) -> str | None:
    """The film in its file's own proportions (the study's copy is squashed to a square); None if it cannot be read."""
    known = width_px > 0 and height_px > 0  # False for NaN
    size = fitted(int(width_px), int(height_px), THUMBNAIL_PX) if known else (THUMBNAIL_PX, THUMBNAIL_PX)
    pixels = read_gray(film, size)
    return None if pixels is None else jpeg_uri(pixels, QUALITY)


def _outline(mask: Path) -> str:
    """The mask's outline as an SVG path in a box of 100 x 100; "" where there is none."""
    pixels = read_gray(mask, (_OUTLINE_PX, _OUTLINE_PX))
    if pixels is None:
        return ""
    # A black border closes outlines that reach the film's edge.
    framed = np.pad(pixels.astype(float), 1)
    centres = (np.arange(-1, _OUTLINE_PX + 1) + 0.5) * 100 / _OUTLINE_PX
    lines = contourpy.contour_generator(np.clip(centres, 0, 100), np.clip(centres, 0, 100), framed).lines(127.5)
    return "".join(
        f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in line)}Z" for line in lines if isinstance(line, np.ndarray)
    )


def _hash(text: str) -> str:
    """The source expression by which a content security policy allows this inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
