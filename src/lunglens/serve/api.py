"""The API: films in, findings, pictures, reports and DICOM out."""

import asyncio
import json
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Annotated

from fastapi import APIRouter, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse
from PIL import Image

from lunglens.film.about import NOTICE, PREVALENCE, __version__
from lunglens.film.abstention import REASONS
from lunglens.film.analyzer import Analyzer
from lunglens.film.fhir import fhir_of
from lunglens.film.language import ENGLISH, language_of, languages
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import ClassifierParameters
from lunglens.film.sheet import Paper, Sheet, sheet_html, sheet_of, sheet_pdf, sheet_pictures
from lunglens.serve.analysis import Analysis
from lunglens.serve.exports import exported
from lunglens.serve.pages import service_of
from lunglens.serve.schema import AboutModel, Accepted, AnalysisModel, ClassifierModel, NotTaken
from lunglens.serve.server_results import TITLE, lines_of, pictures_of
from lunglens.serve.settings import ServeSettings
from lunglens.serve.uploads import Received, queued, take
from lunglens.serve.worklist import BEARER, Worklist, model_of

_LONGEST_WAIT_S = 60.0
_POLL_S = 0.02
# The report is a page of its own: its style stands in it, its panel is in a data URI.
_REPORT_CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"

Wait = Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S, description="seconds to wait for the answer")]
Language = Annotated[
    str,
    Query(pattern=f"^({'|'.join(languages())})$", description=f"of the report: {', '.join(languages())}"),
]
Prevalence = Annotated[float, Query(gt=0, lt=1, description="share of the first of two classes among your patients")]


class FilesRefusedError(HTTPException):
    """No film of a request was taken, or none could be read; problems: why, file by file."""

    def __init__(self, status: int, detail: str, problems: list[NotTaken]) -> None:
        super().__init__(status, detail)
        self.problems = problems


api = APIRouter(prefix="/api", tags=["analyses"], dependencies=[BEARER])


@api.get("/about")
def about(request: Request) -> AboutModel:
    """What answers here, and what may be sent."""
    models: Analyzer = request.app.state.models
    settings: ServeSettings = request.app.state.settings
    limits = ("most_request_bytes", "most_film_bytes", "most_films", "most_pixels", "keep_s", "film_s")
    return AboutModel(
        version=__version__,
        notice=NOTICE,
        models={name: package.name for name, package in models.packages.items()},
        cards={name: package.card for name, package in models.packages.items()},
        classifier=_classifier(models.classifier),
        limits={name: getattr(settings, name) for name in limits},
        dicom=find_spec("highdicom") is not None,
        languages={code: language_of(code).name for code in languages()},
    )


def _classifier(package: ModelPackage[ClassifierParameters]) -> ClassifierModel:
    answer = package.parameters.answer
    return ClassifierModel(
        name=package.record.name,
        version=package.record.version,
        classes=answer.classes,
        threshold=answer.threshold,
        holds_at=answer.calibration and answer.calibration.prevalence,
        reasons=REASONS,
        measured=bool(package.record.measured.rows),
        intended_use=package.intended_use,
    )


@api.post("/analyses", status_code=202, response_model_exclude_unset=True)
async def submit(
    request: Request,
    files: Annotated[list[UploadFile], File(description="DICOM, PNG, JPEG or TIFF films, or ZIP archives of them")],
    response: Response,
    wait: Wait = 0,
    worklist: Worklist = "",
) -> Accepted:
    """Send films. 202: they are queued. With `wait` and all answered in time 200, or 422 if none could be read.

    On a named work list a film that is there already is not analysed again.
    """
    service, received = service_of(request), Received()
    try:
        for file in files:
            await run_in_threadpool(take, file.file, file.filename or "", service, received)
    except BaseException:
        received.discard()
        raise
    problems = [NotTaken(label=label, reason=reason) for label, reason in received.problems]
    if not received.films:
        raise FilesRefusedError(422, "no film among the files", problems)
    analyses = queued(service, received, worklist)
    await _until_done(analyses, wait)
    if wait and all(analysis.is_done for analysis in analyses):
        response.status_code = 200
        if all(analysis.state == "failed" for analysis in analyses):
            problems += [NotTaken(label=analysis.label, reason=analysis.reason or "") for analysis in analyses]
            raise FilesRefusedError(422, "none of the films could be read", problems)
    return Accepted(analyses=[model_of(service, analysis) for analysis in analyses], problems=problems)


@api.get("/analyses/{id_}", response_model_exclude_unset=True)
async def state(request: Request, id_: str, wait: Wait = 0) -> AnalysisModel:
    """An analysis: its state, and the finding when there is one."""
    analysis = _analysis(request, id_)
    await _until_done([analysis], wait)
    return model_of(service_of(request), analysis)


@api.delete("/analyses/{id_}", status_code=204)
def forget(request: Request, id_: str) -> None:
    """Delete an analysis, its film and its results now."""
    service_of(request).forget(_analysis(request, id_))


@api.get("/analyses/{id_}/pictures/{name}", response_class=FileResponse)
async def picture(request: Request, id_: str, name: str) -> Response:
    """A PNG: thumb, film, lungs (outline), heat, grades (of infiltrates; in colours), seen (by the classifier), panel.

    All but the first are drawn when one is first asked for.
    """
    analysis = _done(request, id_)
    if name not in pictures_of(analysis.folder):
        raise HTTPException(404, "no such picture of this film")
    path = analysis.folder / f"{name}.png"
    if not path.is_file():
        await exported(request, analysis, "pictures")
    return FileResponse(path, media_type="image/png")


@api.get("/analyses/{id_}/report.html", response_class=HTMLResponse)
async def report_html(
    request: Request, id_: str, prevalence: Prevalence = PREVALENCE, language: Language = ENGLISH
) -> Response:
    """The report as a page that prints on one sheet."""
    page = await run_in_threadpool(sheet_html, await _sheet(request, id_, prevalence, language))
    return HTMLResponse(page, headers={"content-security-policy": _REPORT_CSP})


@api.get("/analyses/{id_}/report.pdf", response_class=Response)
async def report_pdf(
    request: Request,
    id_: str,
    prevalence: Prevalence = PREVALENCE,
    paper: Paper = "a4",
    language: Language = ENGLISH,
) -> Response:
    """The report as tagged PDF."""
    content = await run_in_threadpool(sheet_pdf, await _sheet(request, id_, prevalence, language), paper)
    return Response(content, media_type="application/pdf")


@api.get("/analyses/{id_}/fhir", response_class=Response)
def fhir(request: Request, id_: str) -> Response:
    """A FHIR R4 Bundle: DiagnosticReport and Observations, without a patient."""
    analysis = _done(request, id_)
    result = model_of(service_of(request), analysis).result
    if result is None:
        raise HTTPException(409, "there is no result")
    made = datetime.fromtimestamp(analysis.finished or time.time(), UTC).isoformat(timespec="seconds")
    bundle = fhir_of(result, request.app.state.models.classifier.parameters.answer, made)
    return Response(json.dumps(bundle), media_type="application/fhir+json")


@api.get("/analyses/{id_}/dicom.zip", response_class=FileResponse)
async def dicom(request: Request, id_: str) -> Response:
    """Segmentations, outlines, structured report and pictures of a DICOM film. 409 where the film is no DICOM file."""
    return FileResponse(await exported(request, _done(request, id_), "dicom"), media_type="application/zip")


@api.get("/analyses/{id_}/stored.bin", response_class=FileResponse)
async def stored(request: Request, id_: str) -> Response:
    """The film's own values, as it is displayed, and how bright each is shown: for viewers with a window."""
    return FileResponse(await exported(request, _done(request, id_), "stored"), media_type="application/octet-stream")


def _analysis(request: Request, id_: str) -> Analysis:
    analysis = service_of(request).analyses.get(id_)
    if analysis is None:
        raise HTTPException(404, "no such analysis: it was deleted, or has never been")
    analysis.asked = time.time()
    return analysis


def _done(request: Request, id_: str) -> Analysis:
    analysis = _analysis(request, id_)
    if analysis.state not in ("analyzed", "refused"):
        raise HTTPException(409, f"there is no result: the analysis is {analysis.state}")
    return analysis


async def _until_done(analyses: list[Analysis], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline and not all(analysis.is_done for analysis in analyses):
        await asyncio.sleep(_POLL_S)


async def _sheet(request: Request, id_: str, prevalence: float, language: str) -> Sheet:
    analysis = _done(request, id_)
    if not (analysis.folder / "lines.json").is_file():
        raise HTTPException(409, f"there is no report: {analysis.reason}")
    await exported(request, analysis, "pictures")
    return await run_in_threadpool(_drawn, request, analysis, prevalence, language)


def _drawn(request: Request, analysis: Analysis, prevalence: float, language: str) -> Sheet:
    lines, version = lines_of(analysis.folder)
    there = [name for name in ("film", "lungs", "heat", "grades") if (analysis.folder / f"{name}.png").is_file()]
    pictures = sheet_pictures({name: Image.open(analysis.folder / f"{name}.png") for name in there})
    classifier = request.app.state.models.classifier.record
    title, result = analysis.label or TITLE, model_of(service_of(request), analysis).result
    probability = next(iter(result.probabilities.values())) if result and result.probabilities else None
    return sheet_of(title, lines, pictures, classifier, version, prevalence, probability, language=language)
