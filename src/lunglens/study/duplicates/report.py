"""The pairs as a page to look at: self-contained HTML with both pictures of each pair, CSV and JSON beside it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from lunglens.errors import LungLensError
from lunglens.files import readable, write_bytes, write_json
from lunglens.film.radiograph import read_radiograph

PAIRS_A_PAGE = 200
_WIDTH_PX = 200
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Duplicates</title><style>
body{font:15px/1.4 system-ui,sans-serif;margin:24px;color:#1b1f24;background:#fff}
ul{list-style:none;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(430px,1fr));gap:16px}
li{border:1px solid #c9ced6;border-radius:6px;padding:10px}
figure{display:inline-block;width:{{ width }}px;margin:0 4px 0 0;vertical-align:top}
img,.none{width:{{ width }}px;height:{{ width }}px;object-fit:contain;background:#000;color:#fff;display:block}
figcaption{font-size:12px;overflow-wrap:anywhere}</style></head><body>
<h1>Duplicates</h1><p>{{ summary }} Page {{ page }} of {{ pages }}{% if pages > 1 %}:
{% for number in range(1, pages + 1) %}<a href="{{ name(number) }}">{{ number }}</a> {% endfor %}{% endif %}</p>
<p>Least certain first. All pairs are in duplicates.csv and duplicates.json beside this page.</p><ul>
{% for pair in pairs %}<li><strong>{{ pair.kind }}</strong>{% if pair.numbers %} · {{ pair.numbers }}{% endif %}<br>
{% for film in pair.films %}<figure>{% if film.picture %}<img src="{{ film.picture }}" alt="{{ film.name }}">
{% else %}<div class="none">cannot be read</div>{% endif %}<figcaption>{{ film.name }}</figcaption></figure>
{% endfor %}</li>
{% endfor %}</ul></body></html>"""


def write_report(pairs: pd.DataFrame, out: Path) -> Path:
    """Write duplicates.html (and -2.html ... where there are more than PAIRS_A_PAGE), .csv and .json into `out`.

    Exact and near pairs are shown, the least certain first; patients and cases are not for the eye, they are in the
    tables. Returns the first page.

    Raises:
        OSError: `out` cannot be written.
    """
    table = pairs.assign(first=pairs["first"].map(readable), second=pairs["second"].map(readable))
    write_bytes(out / "duplicates.csv", table.to_csv(index=False, lineterminator="\n").encode())
    write_json(out / "duplicates.json", json.loads(table.to_json(orient="records")))
    shown = pairs[pairs["kind"].isin(["exact", "near"])].sort_values(["correlation", "first", "second"])
    pages = max(1, -(-len(shown) // PAIRS_A_PAGE))
    counts = ", ".join(f"{kind}: {count}" for kind, count in pairs["kind"].value_counts().items())
    template = jinja2.Environment(autoescape=True).from_string(_PAGE)
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
