"""NIH ChestX-ray14 (Wang et al. 2017): Data_Entry_2017*.csv + images in one folder or in images_001 ... images_012."""

from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.study.rows import Row, find_images
from lunglens.study.sources.registry import Problems, unfit
from lunglens.study.sources.rsna_readings import classes_of_nih
from lunglens.study.sources.table import Line, group, listed, read_table, stem_of

NAME = "nih-chestxray14"
COLUMNS = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]


def nih(folder: Path, problems: Problems) -> Iterator[Row]:
    """A row for every line of the table whose image is there.

    Findings were text-mined from reports and are partly wrong; "No Finding" -> normal, any with Pneumonia -> pneumonia.
    What RSNA's radiologists said of some of the films stands beside them (`rsna_readings.relabelled` takes it).
    """
    tables = sorted(folder.glob("Data_Entry_2017*.csv"))
    if not tables:
        raise DataError(f"{folder}: Data_Entry_2017*.csv is missing; it comes with the data set")
    lines, read = read_table(tables[0], COLUMNS, problems), classes_of_nih(folder, problems)
    for line, path in listed(lines, "Image Index", find_images(folder)):
        patient, years, diagnosis = line.text("Patient ID"), line.age("Patient Age"), line.text("Finding Labels")
        diagnoses = set((diagnosis or "").split("|"))
        width, height = _original_size(line)
        yield Row(
            path=str(path),
            source=NAME,
            patient_id=patient,
            group_id=group(NAME, patient),
            view=line.text("View Position"),
            modality="X-ray",
            age_years=years,
            sex=line.sex("Patient Gender"),
            diagnosis=diagnosis,
            radiologists=read.get(stem_of(line["Image Index"])),
            label="normal" if diagnoses == {"No Finding"} else "pneumonia" if "Pneumonia" in diagnoses else "other",
            original_width_px=width,
            original_height_px=height,
            exclude=unfit(None, "X-ray", years),
        )


def _original_size(line: Line) -> tuple[int | None, int | None]:
    """Published as "OriginalImage[Width,Height]": one column name with a comma in it, over two cells."""
    width, height = line.number("OriginalImage[Width"), line.number("Height]")
    if width is None or height is None:
        width, height = line.number("OriginalImageWidth"), line.number("OriginalImageHeight")
    return (int(width), int(height)) if width and height else (None, None)
