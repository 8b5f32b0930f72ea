"""What is written of one film: its analysis, or its lungs only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lunglens.errors import NotAChestRadiographError
from lunglens.files import write_atomically, write_bytes, writing
from lunglens.film.about import __version__
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.summary import SummaryRow
from lunglens.film.dicom import DICOM_FILES
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.finding_record import write_finding
from lunglens.film.language import ENGLISH
from lunglens.film.picture.panel import draw_panel, mask_image
from lunglens.film.radiograph import read_radiograph
from lunglens.film.reading.identity import identity_of
from lunglens.film.statements import panel_lines
from lunglens.text import readable, reason_of, storable


class Writer(Protocol):
    """What is made of each film of a batch."""

    def key(self, analyzer: Analyzer) -> str:
        """Decides, with film and models, whether a film is done already."""

    def write(self, film: Path, stem: Path, analyzer: Analyzer) -> SummaryRow:
        """Read the film, write its results; their paths are `stem` and an ending.

        Raises:
            LungLensError: the film is refused or cannot be read.
            OutputError: the results cannot be written.
        """


@dataclass(frozen=True)
class AnalysisWriter:
    """Analyses one film into `<name>.json`, `<name>.panel.png` and, if it was not refused, `<name>.lungs.png`.

    dicom: of DICOM films also `<name>.lungs.seg.dcm` and the others of DICOM_FILES; of those that their header refuses
    the report alone; of others the summary says why not. report: also `<name>.report.html` and `<name>.report.pdf`,
    which reckon with the analyzer's prevalence. paper: of the PDF. identified: whether they tell the study's date and
    accession number, and the film's SHA-256. language: theirs, a code of `languages()`. pictures: whether there are
    panel and mask.
    """

    dicom: bool = False
    report: bool = False
    paper: Literal["a4", "letter"] = "a4"
    identified: bool = False
    language: str = ENGLISH
    pictures: bool = True

    def key(self, analyzer: Analyzer) -> str:
        """See `Writer`."""
        how = f"{'' if self.paper == 'a4' else ' letter'}{' identified' if self.identified else ''}"
        how += "" if self.language == ENGLISH else f" {self.language}"
        report = f"{analyzer.prevalence}{how}" if self.report else None
        return f"analysis dicom={self.dicom} prevalence={report}{'' if self.pictures else ' numbers only'}"

    def write(self, film: Path, stem: Path, analyzer: Analyzer) -> SummaryRow:
        """See `Writer`."""
        try:
            finding = analyzer.analyze(read_radiograph(film))
        except NotAChestRadiographError as error:
            if self.dicom:
                _write_dicom(film, stem, error)
            raise
        no_dicom = _write_dicom(film, stem, finding) if self.dicom else None
        if self.report:
            identity = identity_of(film, finding.radiograph.sha256) if self.identified else []
            self._write_report(film, stem, finding, analyzer, identity)
        if self.pictures:
            _write_pictures(film, stem, finding)
        else:
            with writing(stem.parent):
                for name in ("panel", "lungs"):
                    Path(f"{stem}.{name}.png").unlink(missing_ok=True)  # of an earlier state of the film
        record = finding.record()
        with writing(stem.parent):
            write_finding(Path(f"{stem}.json"), record, storable(film))
        outcome = SummaryRow.of(film, record, f"{stem.name}.json")
        return replace(outcome, reason="; ".join(filter(None, (outcome.reason, no_dicom))) or None)

    def _write_report(
        self,
        film: Path,
        stem: Path,
        finding: Analyzed | Refused,
        analyzer: Analyzer,
        identity: list[tuple[str, str]],
    ) -> None:
        from lunglens.film.picture.layers import layers_of
        from lunglens.film.sheet import sheet_html, sheet_of, sheet_pdf, sheet_pictures

        sheet = sheet_of(
            readable(film.name),
            panel_lines(finding),
            sheet_pictures(layers_of(finding)),
            analyzer.classifier.record,
            __version__,
            analyzer.prevalence,
            next(iter(finding.probabilities.values())) if isinstance(finding, Analyzed) else None,
            identity,
            self.language,
        )
        html, pdf = sheet_html(sheet).encode(), sheet_pdf(sheet, self.paper)
        with writing(stem.parent):
            write_bytes(Path(f"{stem}.report.html"), html)
            write_bytes(Path(f"{stem}.report.pdf"), pdf)


@dataclass(frozen=True)
class LungsWriter:
    """Only the lungs of one film, into `<name>.lungs.png`, and where they are known whole `<name>.region.png`."""

    def key(self, analyzer: Analyzer) -> str:  # noqa: ARG002
        """See `Writer`."""
        return "write_segmentation"

    def write(self, film: Path, stem: Path, analyzer: Analyzer) -> SummaryRow:
        """See `Writer`."""
        found = analyzer.segment(read_radiograph(film))
        if not found.gate.accepted:
            return SummaryRow(readable(film), "refused", reason=found.gate.reason)
        with writing(stem.parent):
            _write_png(Path(f"{stem}.lungs.png"), mask_image(found.lungs))
            if found.region is None:
                Path(f"{stem}.region.png").unlink(missing_ok=True)  # of another lungs package
            else:
                _write_png(Path(f"{stem}.region.png"), mask_image(found.region))
        return SummaryRow(readable(film), "analyzed", result=f"{stem.name}.lungs.png")


def _write_dicom(film: Path, stem: Path, found: Analyzed | Refused | NotAChestRadiographError) -> str | None:
    """Write the objects of a finding, or of a header that was refused; why there are none, where there are none."""
    from lunglens.film.dicom.objects import NoDicomSourceError, dicom_results, read_source, refusal_results

    try:
        source, problem = read_source(film), None
        if isinstance(found, NotAChestRadiographError):
            files = refusal_results(source, reason_of(found, film), found.code).files()
        else:
            files = dicom_results(source, found).files()
    except NoDicomSourceError as error:
        files, problem = {}, readable(error)
    with writing(stem.parent):
        for name in DICOM_FILES:
            if name in files:
                write_bytes(Path(f"{stem}.{name}"), files[name])
            else:
                Path(f"{stem}.{name}").unlink(missing_ok=True)  # of an earlier state of the film
    return problem


def _write_pictures(film: Path, stem: Path, finding: Analyzed | Refused) -> None:
    panel = draw_panel(finding, film.name)
    with writing(stem.parent):
        _write_png(Path(f"{stem}.panel.png"), panel)
        if isinstance(finding, Refused):
            Path(f"{stem}.lungs.png").unlink(missing_ok=True)  # of an earlier state of the film
        else:
            _write_png(Path(f"{stem}.lungs.png"), mask_image(finding.lungs))


def _write_png(path: Path, picture: Image.Image) -> None:
    """With the mark by which `lunglens.film.reading.kinds` knows our own pictures."""
    mark = PngInfo()
    mark.add_text("Software", f"LungLens {__version__}")
    write_atomically(path, lambda temporary: picture.save(temporary, compress_level=3, pnginfo=mark))
