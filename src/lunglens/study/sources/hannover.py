"""Hannover (Winther et al. 2020): data.csv + png/ (or images/).

https://github.com/ml-workgroup/covid-19-image-repository
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.study.manifest import Row, find_images
from lunglens.study.sources.registry import Download, Problems, Source
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


SOURCE = Source(
    name=NAME,
    title="COVID-19 image repository of Hannover Medical School",
    read=hannover,
    licence="CC BY 3.0",
    citation="Winther et al., COVID-19 Image Repository, figshare 2020 (doi:10.6084/m9.figshare.12275009)",
    url="https://github.com/ml-workgroup/covid-19-image-repository",
    size="243 films of 71 patients, 1.4 GB",
    access="git, freely",
    hides="COVID-19 only, many bedside films of the same intensive-care patients; its films are also in "
    "covid-chestxray-dataset. Good as a test of sensitivity from a hospital never seen, no use alone.",
    download=Download("git", ("https://github.com/ml-workgroup/covid-19-image-repository",), 3_000_000_000),
)
