"""Hannover (Winther et al. 2020, https://github.com/ml-workgroup/covid-19-image-repository): data.csv + images."""

from collections.abc import Iterator
from pathlib import Path

from lunglens.manifest import Row, find_images
from lunglens.sources.table import age, group, read_table, text

SOURCE = "hannover"


def hannover(root: Path) -> Iterator[Row]:
    """243 films of 71 patients, all with COVID-19, from one hospital."""
    folder = root / SOURCE
    table = read_table(folder / "data.csv", ["patient_id", "image_id", "sex", "age", "modality", "projection"])
    images = find_images(folder / "images")
    for line in table.to_dict("records"):
        path = images.get(str(line["image_id"]).lower())
        if path is None:
            continue
        patient, view = text(line["patient_id"]), text(line["projection"])
        yield Row(
            path=str(path),
            source=SOURCE,
            patient_id=patient,
            group_id=group(SOURCE, patient),
            view=view.upper() if view else None,
            modality="X-ray",
            age_years=age(line["age"]),
            sex=(text(line["sex"]) or "").upper() or None,
            finding="COVID-19",
            label="covid",
        )
