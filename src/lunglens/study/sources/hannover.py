"""Hannover (Winther et al. 2020): data.csv + png/ (or images/).

https://github.com/ml-workgroup/covid-19-image-repository
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problems
from lunglens.study.sources.table import group, listed, read_table

NAME = "hannover"


def hannover(folder: Path, problems: Problems) -> Iterator[Row]:
    """243 films of 71 patients, all with COVID-19, from one hospital."""
    lines = read_table(
        folder / "data.csv", ["patient_id", "image_id", "sex", "age", "modality", "projection"], problems
    )
    for line, path in listed(lines, "image_id", find_images(folder)):
        patient, view = line.text("patient_id"), line.text("projection")
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=patient,
            group_id=group(NAME, patient),
            view=view.upper() if view else None,
            modality="X-ray",
            age_years=line.age("age"),
            sex=line.sex("sex"),
            diagnosis="COVID-19",
            label="covid",
            acquisition=line.text("modality"),
        )
