"""NIH ChestX-ray14 (Wang et al. 2017, https://nihcc.app.box.com/v/ChestXray-NIHCC): Data_Entry_2017*.csv + images."""

from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.manifest import Row, find_images
from lunglens.sources.table import age, group, read_table, text

SOURCE = "nih-chestxray14"


def nih(root: Path) -> Iterator[Row]:
    """A row for every line of the table whose image is there; images may lie in one folder or in images_001 ... 012.

    Findings were text-mined from reports and are partly wrong; "No Finding" -> normal, any with Pneumonia -> pneumonia.
    """
    folder = root / SOURCE
    tables = sorted(folder.glob("Data_Entry_2017*.csv"))
    if not tables:
        raise DataError(f"{folder}: Data_Entry_2017*.csv is missing; it comes with the data set")
    columns = ["Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"]
    images = find_images(folder)
    for line in read_table(tables[0], columns).to_dict("records"):
        path = images.get(Path(str(line["Image Index"])).stem.lower())
        if path is None:
            continue
        patient, years, finding = text(line["Patient ID"]), age(line["Patient Age"]), text(line["Finding Labels"])
        findings = set((finding or "").split("|"))
        yield Row(
            path=str(path),
            source=SOURCE,
            patient_id=patient,
            group_id=group(SOURCE, patient),
            view=text(line["View Position"]),
            modality="X-ray",
            age_years=years,
            sex=text(line["Patient Gender"]),
            finding=finding,
            label="normal" if findings == {"No Finding"} else "pneumonia" if "Pneumonia" in findings else "other",
            exclude="under 18" if years is not None and years < 18 else None,
        )
