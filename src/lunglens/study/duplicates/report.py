"""The pairs as a page to look at: self-contained HTML with both pictures of each pair, CSV and JSON beside it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from lunglens.errors import LungLensError
from lunglens.files import save_csv, templates, write_bytes, write_json
from lunglens.film.radiograph import read_radiograph
from lunglens.text import readable

PAIRS_A_PAGE = 200
_WIDTH_PX = 200


def write_report(pairs: pd.DataFrame, out: Path) -> Path:
    """Write duplicates.html (and -2.html ... where there are more than PAIRS_A_PAGE), .csv and .json into `out`.

    Exact and near pairs are shown, the least certain first; patients and cases are not for the eye, they are in the
    tables. Returns the first page.

    Raises:
        OSError: `out` cannot be written.
    """
    table = pairs.assign(first=pairs["first"].map(readable), second=pairs["second"].map(readable))
    save_csv(table, out / "duplicates.csv")
    write_json(out / "duplicates.json", json.loads(table.to_json(orient="records")))
    shown = pairs[pairs["kind"].isin(["exact", "near"])].sort_values(["correlation", "first", "second"])
    pages = max(1, -(-len(shown) // PAIRS_A_PAGE))
    counts = ", ".join(f"{kind}: {count}" for kind, count in pairs["kind"].value_counts().items())
    template = templates(__package__).get_template("duplicates.html.jinja")
    for page in range(1, pages + 1):
        rows = shown.iloc[(page - 1) * PAIRS_A_PAGE : page * PAIRS_A_PAGE]
        text = template.render(
            summary=f"Pairs: {counts or 'none'}.",
            pairs=[_pair(row) for row in rows.itertuples()],
            page=page,
            pages=pages,
            name=_name,
            width=_WIDTH_PX,
        )
        write_bytes(out / _name(page), text.encode())
    return out / _name(1)


def _name(page: int) -> str:
    return "duplicates.html" if page == 1 else f"duplicates-{page}.html"


def _pair(row: Any) -> dict[str, Any]:
    numbers = f"correlation {row.correlation:.2f}, hash distance {row.hash_distance:.2f}" if row.kind == "near" else ""
    return {"kind": row.kind, "numbers": numbers, "films": [_film(Path(row.first)), _film(Path(row.second))]}


def _film(path: Path) -> dict[str, str]:
    """Its name with two folders, and a small JPEG as a data URI, "" where it cannot be read."""
    name = readable("/".join(path.parts[-3:]))
    try:
        pixels = read_radiograph(path).pixels
    except LungLensError:
        return {"name": name, "picture": ""}
    image = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    image.thumbnail((_WIDTH_PX, _WIDTH_PX))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return {"name": name, "picture": "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()}
