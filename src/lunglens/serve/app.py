"""The web application: page, API, DICOMweb store, health and metrics."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartParser

from lunglens.film.about import NOTICE, PREVALENCE, __version__
from lunglens.film.abstention import REASONS
from lunglens.film.analyzer import Analyzer
from lunglens.film.drift import Drift
from lunglens.film.finding_record import FindingRecord
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.record import ClassifierParameters
from lunglens.film.sheet import Sheet, sheet_html, sheet_of, sheet_pdf
from lunglens.film.statements import Line
from lunglens.serve.dicomweb import dicomweb
from lunglens.serve.metrics import Metrics
from lunglens.serve.middleware import Guard
from lunglens.serve.pages import pages, service_of
from lunglens.serve.schema import AboutModel, Accepted, AnalysisModel, ClassifierModel, ErrorModel, NotTaken
from lunglens.serve.server_results import TITLE, lines_of
from lunglens.serve.service import Analysis, QueueFullError, Service
from lunglens.serve.settings import ServeSettings
from lunglens.serve.task import Answer
from lunglens.serve.uploads import Received, busy, queued, take

_PICTURES = ("film", "lungs", "heat", "seen", "panel")
_LONGEST_WAIT_S = 60.0
_POLL_S = 0.02
_MOST_FIELDS, _MOST_FIELD_BYTES = 10, 64 * 1024  # of a form; they are held in memory
_SPOOL_BYTES = 64 * 1024  # of an uploaded file; what is larger goes to disk while it comes
# The report is a page of its own: its style stands in it, its panel is in a data URI.
_REPORT_CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorModel} for code in (400, 401, 403, 404, 408, 409, 413, 422, 503)
}

Wait = Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S, description="seconds to wait for the answer")]
Prevalence = Annotated[float, Query(gt=0, lt=1, description="share of the first of two classes among your patients")]


def create_app(settings: ServeSettings) -> Any:
    """The ASGI application; its queue starts and stops with it.

    Raises:
        ConfigurationError: it would stand open to others.
        ModelPackageError: a model package is not fit.
    """
    settings.check()
    metrics = Metrics()
    models = settings.models()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = Service(settings, metrics.analysis, Drift(models.classifier.record.reference))
        # Uploads that are too large for memory are spooled to disk: within the private folder, not beside it.
        before, tempfile.tempdir = tempfile.tempdir, str(service.folder)
        app.state.service = service
        service.start()
        try:
            yield
            await run_in_threadpool(service.drain, settings.stop_s)
        finally:
            tempfile.tempdir = before
            await run_in_threadpool(service.stop)

    app = FastAPI(
        title="LungLens",
        version=__version__,
        description=NOTICE,
        lifespan=lifespan,
        docs_url=None,  # it would fetch scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses=_ERRORS,
        form_limits={
            "max_files": settings.most_films,
            "max_fields": _MOST_FIELDS,
            "max_part_size": _MOST_FIELD_BYTES,
        },
    )
    MultiPartParser.spool_max_size = _SPOOL_BYTES
    app.state.settings, app.state.metrics, app.state.models = settings, metrics, models
    app.add_exception_handler(StarletteHTTPException, _error_answer)
    app.add_exception_handler(RequestValidationError, _invalid_answer)
    app.include_router(pages)
    app.include_router(_api)
    app.include_router(dicomweb)
    return Guard(app, settings, metrics)


_api = APIRouter(prefix="/api", tags=["analyses"])


@_api.get("/about")
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


@_api.post("/analyses", status_code=202, response_model_exclude_unset=True)
async def submit(
    request: Request,
    files: Annotated[list[UploadFile], File(description="DICOM, PNG, JPEG or TIFF films, or ZIP archives of them")],
    response: Response,
    wait: Wait = 0,
) -> Accepted:
    """Send films. 202: they are queued. With `wait` and all answered in time 200, or 422 if none could be read."""
    service, received = service_of(request), Received()
    try:
        for file in files:
            await run_in_threadpool(take, file.file, file.filename or "", service, received)
    except BaseException:
        received.discard()
        raise
    problems = [NotTaken(label=label, reason=reason) for label, reason in received.problems]
    if not received.films:
        raise _Failed(422, "no film among the files", problems)
    analyses = queued(service, received)
    await _until_done(analyses, wait)
    if wait and all(analysis.is_done for analysis in analyses):
        response.status_code = 200
        if all(analysis.state == "failed" for analysis in analyses):
            problems += [NotTaken(label=analysis.label, reason=analysis.reason or "") for analysis in analyses]
            raise _Failed(422, "none of the films could be read", problems)
    return Accepted(analyses=[_model(analysis) for analysis in analyses], problems=problems)


@_api.get("/analyses/{id_}", response_model_exclude_unset=True)
async def state(request: Request, id_: str, wait: Wait = 0) -> AnalysisModel:
    """An analysis: its state, and the finding when there is one."""
    analysis = _analysis(request, id_)
    await _until_done([analysis], wait)
    return _model(analysis)


@_api.delete("/analyses/{id_}", status_code=204)
def forget(request: Request, id_: str) -> None:
    """Delete an analysis, its film and its results now."""
    service_of(request).forget(_analysis(request, id_))


@_api.get("/analyses/{id_}/pictures/{name}", response_class=FileResponse)
def picture(request: Request, id_: str, name: str) -> Response:
    """A PNG: film, lungs (outline), heat (colours with opacity), seen (what the classifier saw), panel."""
    path = _done(request, id_).folder / f"{name}.png"
    if name not in _PICTURES or not path.is_file():
        raise HTTPException(404, "no such picture of this film")
    return FileResponse(path, media_type="image/png")


@_api.get("/analyses/{id_}/report.html", response_class=HTMLResponse)
def report_html(request: Request, id_: str, prevalence: Prevalence = PREVALENCE) -> Response:
    """The report as a page that prints on one sheet."""
    page = sheet_html(_sheet(request, id_, prevalence))
    return HTMLResponse(page, headers={"content-security-policy": _REPORT_CSP})


@_api.get("/analyses/{id_}/report.pdf", response_class=Response)
def report_pdf(request: Request, id_: str, prevalence: Prevalence = PREVALENCE) -> Response:
    """The report as PDF."""
    return Response(sheet_pdf(_sheet(request, id_, prevalence)), media_type="application/pdf")


@_api.get("/analyses/{id_}/dicom.zip", response_class=FileResponse)
async def dicom(request: Request, id_: str) -> Response:
    """Segmentations, structured report and secondary capture of a DICOM film. 409 where the film is no DICOM file."""
    analysis = _done(request, id_)
    path = analysis.folder / "dicom.zip"
    if not path.is_file():
        answers: list[Answer] = []
        try:
            service_of(request).export_dicom(analysis, answers.append)
        except QueueFullError as error:
            raise busy(error) from error
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while not answers:
            if time.monotonic() > deadline or await request.is_disconnected():
                raise HTTPException(503, "the export takes too long; try again later", {"retry-after": "5"})
            await asyncio.sleep(_POLL_S)
        if answers[0].status != "done":
            raise HTTPException(409, answers[0].reason or "no DICOM results")
    return FileResponse(path, media_type="application/zip")


class _Failed(HTTPException):
    """An error with the files that caused it."""

    def __init__(self, status: int, detail: str, problems: list[NotTaken]) -> None:
        super().__init__(status, detail)
        self.problems = problems


async def _error_answer(_: Request, error: Exception) -> Response:
    """Every error in one form."""
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for nothing else
    content = ErrorModel(detail=str(error.detail), problems=getattr(error, "problems", []))
    return JSONResponse(content.model_dump(), error.status_code, headers=error.headers)


async def _invalid_answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]]
    return JSONResponse(ErrorModel(detail="; ".join(problems)).model_dump(), 422)


def _analysis(request: Request, id_: str) -> Analysis:
    analysis = service_of(request).analyses.get(id_)
    if analysis is None:
        raise HTTPException(404, "no such analysis: it was deleted, or has never been")
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


def _model(analysis: Analysis) -> AnalysisModel:
    path = analysis.folder / "result.json"
    has_result = analysis.state in ("analyzed", "refused") and path.is_file()
    result = FindingRecord.model_validate_json(path.read_bytes()) if has_result else None
    pictures = [name for name in _PICTURES if (analysis.folder / f"{name}.png").is_file()] if has_result else []
    return AnalysisModel(
        **{name: getattr(analysis, name) for name in ("id", "label", "state", "reason", "sha256")},
        result=result,
        pictures=pictures,
    )


def _sheet(request: Request, id_: str, prevalence: float) -> Sheet:
    analysis = _done(request, id_)
    if not (analysis.folder / "lines.json").is_file():
        raise HTTPException(409, f"there is no report: {analysis.reason}")
    lines, version = lines_of(analysis.folder)
    panel = (analysis.folder / "panel.png").read_bytes()
    classifier = request.app.state.models.classifier.record
    title, result = analysis.label or TITLE, _model(analysis).result
    probability = next(iter(result.probabilities.values())) if result and result.probabilities else None
    found = [Line(**line) for line in lines]  # type: ignore[arg-type]
    return sheet_of(title, found, panel, classifier, version, prevalence, probability)
