"""What is written of one film: its analysis, or its lungs only."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lunglens.errors import NotAChestRadiographError
from lunglens.files import readable, reason_of, storable, write_atomically, write_bytes, write_json, writing
from lunglens.film.about import __version__
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.outcome import Job, Outcome
from lunglens.film.dicom import (
    DICOM_FILES,
    DicomResults,
    NoDicomSourceError,
    dicom_results,
    read_source,
    refusal_results,
)
from lunglens.film.dicom.tidy import Source
from lunglens.film.finding import Finding
from lunglens.film.picture.panel import draw_panel, mask_image
from lunglens.film.radiograph import read_radiograph
from lunglens.film.statements import panel_lines


@dataclass(frozen=True)
class AnalysisWriter:
    """Analyses one film into `<name>.json`, `<name>.panel.png` and, if it was not refused, `<name>.lungs.png`.

    dicom: of DICOM films also `<name>.lungs.seg.dcm`, `.heat.seg.dcm`, `.report.sr.dcm` and `.panel.sc.dcm`; of those
    that their header refuses the report alone; of others the summary says why not. prevalence: also
    `<name>.report.html` and `<name>.report.pdf`, which reckon with it.
    """

    dicom: bool = False
    prevalence: float | None = None

    def key(self) -> str:
        """Decides, with film and models, whether a film is done already."""
        return f"analysis dicom={self.dicom} prevalence={self.prevalence}"

    def __call__(self, job: Job, out: Path, analyzer: Analyzer) -> Outcome:
        """Read, analyse, write; see `lunglens.film.batch.run.Writer`."""
        try:
            finding = analyzer.analyze(read_radiograph(job.path))
        except NotAChestRadiographError as error:
            reason, code = reason_of(error, job.path), error.code
            if self.dicom:
                _write_dicom(job, out, lambda source: refusal_results(source, reason, code))
            raise
        no_dicom = _write_dicom(job, out, lambda source: dicom_results(source, finding)) if self.dicom else None
        if self.prevalence is not None:
            _write_report(job, out, finding, analyzer, self.prevalence)
        outcome = _write_finding(job, out, finding)
        return replace(outcome, reason="; ".join(filter(None, (outcome.reason, no_dicom))) or None)


write_analysis = AnalysisWriter()


def write_segmentation(job: Job, out: Path, analyzer: Analyzer) -> Outcome:
    """Only the lungs of one film, into `<name>.lungs.png`."""
    lungs, gate = analyzer.segment(read_radiograph(job.path))
    if not gate.accepted:
        return Outcome(readable(job.path), "refused", reason=gate.reason)
    with writing(out):
        _write_png(out / f"{job.name}.lungs.png", mask_image(lungs))
    return Outcome(readable(job.path), "analyzed", result=f"{job.name}.lungs.png")


def _write_dicom(job: Job, out: Path, make: Callable[[Source], DicomResults]) -> str | None:
    """Write what `make` makes of the film's header; why there is none, where there is none."""
    try:
        files, problem = make(read_source(job.path)).files(), None
    except NoDicomSourceError as error:
        files, problem = {}, readable(error)
    with writing(out):
        for name in DICOM_FILES:
            if name in files:
                write_bytes(out / f"{job.name}.{name}", files[name])
            else:
                (out / f"{job.name}.{name}").unlink(missing_ok=True)  # of an earlier state of the film
    return problem


def _write_report(job: Job, out: Path, finding: Finding, analyzer: Analyzer, prevalence: float) -> None:
    from lunglens.film.sheet import sheet_html, sheet_of, sheet_pdf

    panel = io.BytesIO()
    draw_panel(finding, job.path.name).save(panel, "PNG")
    title = readable(job.path.name)
    measured = analyzer.classifier.measured
    sheet = sheet_of(title, panel_lines(finding), panel.getvalue(), measured, __version__, prevalence)
    html, pdf = sheet_html(sheet).encode(), sheet_pdf(sheet)
    with writing(out):
        write_bytes(out / f"{job.name}.report.html", html)
        write_bytes(out / f"{job.name}.report.pdf", pdf)


def _write_finding(job: Job, out: Path, finding: Finding) -> Outcome:
    panel = draw_panel(finding, job.path.name)
    with writing(out):
        _write_png(out / f"{job.name}.panel.png", panel)
        if finding.lungs is None:
            (out / f"{job.name}.lungs.png").unlink(missing_ok=True)  # of an earlier state of the film
        else:
            _write_png(out / f"{job.name}.lungs.png", mask_image(finding.lungs))
        write_json(out / f"{job.name}.json", {"path": storable(job.path), **finding.to_dict()})
    probability = finding.covid_probability
    return Outcome(
        path=readable(job.path),
        status=finding.status,
        covid_probability=None if probability is None else round(probability, 6),
        decision=finding.decision,
        reason=finding.reason,
        result=f"{job.name}.json",
    )


def _write_png(path: Path, picture: Image.Image) -> None:
    """With the mark by which `lunglens.film.reading.kinds` knows our own pictures."""
    mark = PngInfo()
    mark.add_text("Software", f"LungLens {__version__}")
    write_atomically(path, lambda temporary: picture.save(temporary, compress_level=3, pnginfo=mark))
