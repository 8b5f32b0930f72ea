"""Dump reports of the example film into docs/dicom-conformance.md: as it is, called positive, refused twice.

python tools/write_conformance.py (dsrdump is dcmtk's)
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from lunglens import Analyzer, Answer, read_radiograph
from lunglens.film.dicom.objects import DicomResults, dicom_results, read_source, refusal_results

PAGE = Path(__file__).parents[1] / "docs" / "dicom-conformance.md"
REPORT = "report.sr.dcm"


def main() -> None:
    page = PAGE.read_text()
    for heading, dumped in dumps():
        start = page.index("```text\n", page.index(f"\n## {heading}\n")) + len("```text\n")
        page = page[:start] + dumped + page[page.index("```", start) :]
    PAGE.write_text(page)


def dumps() -> Iterator[tuple[str, str]]:
    """Heading -> the dump below it."""
    path = Path(str(files("data_store"))) / "data" / "RG1_UNCR.dcm"
    film, source = read_radiograph(path), read_source(path)
    analyzer = Analyzer.load()
    finding = analyzer.analyze(film)
    yield "The report of a film", dump(dicom_results(source, finding))
    positive = Answer.of(analyzer.classifier.parameters.answer, np.float32(0.99))
    whole = dump(dicom_results(source, replace(finding, answer=positive, withheld=())))
    yield "Of a positive film", part(whole, "classifier")
    pixels = film.pixels.copy()
    pixels[:, pixels.shape[1] // 2 :] = pixels.max()
    one_lung = analyzer.analyze(replace(film, pixels=pixels))
    yield "Of a film that the gate refused", part(dump(dicom_results(source, one_lung)), "film")
    refused = refusal_results(source, "its header says modality CT. Give a chest radiograph (CR or DX).", "modality")
    yield "Of a film that was refused by its header", dump(refused)


def part(dumped: str, tracked: str) -> str:
    """The measurement group of one tracking identifier."""
    groups = dumped.split('    <contains CONTAINER:(,,"Measurement Group")=CONTINUOUS>\n')
    return next(group for group in groups if f'"Tracking Identifier")="{tracked}">' in group)


def dump(results: DicomResults) -> str:
    """What dsrdump says of the report, without UIDs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / REPORT
        file.write_bytes(results.files()[REPORT])
        said = subprocess.check_output(["dsrdump", "+Pl", file], text=True)  # noqa: S607
    tree = said[said.index("<CONTAINER") :].rstrip() + "\n"
    return re.sub(r'="[0-9]+(\.[0-9]+){3,}"', '="(UID)"', tree)


if __name__ == "__main__":
    main()
