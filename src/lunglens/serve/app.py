"""The web application: page, API, DICOMweb store, health and metrics."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartParser

from lunglens.film.about import NOTICE, __version__
from lunglens.film.drift import Drift
from lunglens.serve.analysis import Analysis
from lunglens.serve.api import api
from lunglens.serve.dicomweb import dicomweb
from lunglens.serve.dicomweb_results import results
from lunglens.serve.metrics import Metrics
from lunglens.serve.middleware import Guard
from lunglens.serve.notifier import Notifier
from lunglens.serve.pages import pages
from lunglens.serve.schema import PROBLEM_TYPE, ErrorModel, NotTaken
from lunglens.serve.service import Service
from lunglens.serve.settings import ServeSettings
from lunglens.serve.worklist import worklist

_MOST_FIELDS, _MOST_FIELD_BYTES = 10, 64 * 1024  # of a form; they are held in memory
_SPOOL_BYTES = 64 * 1024  # of an uploaded file; what is larger goes to disk while it comes
_LAST_MESSAGES_S = 5.0  # to the webhook, when the server stops
_ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorModel, "content": {PROBLEM_TYPE: {}}} for code in (400, 401, 403, 404, 408, 409, 413, 422, 503)
}


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
        notifier = settings.webhook and Notifier(settings.webhook, metrics.message)

        def finished(analysis: Analysis) -> None:
            metrics.analysis(analysis)
            if notifier and analysis.id in service.analyses:
                notifier.tell(analysis)

        service = Service(settings, finished, Drift(models.classifier.record.reference))
        # Uploads that are too large for memory are spooled to disk: within the private folder, not beside it.
        before, tempfile.tempdir = tempfile.tempdir, str(service.folder)
        app.state.service = service
        service.start()
        try:
            yield
            await run_in_threadpool(service.drain, settings.stop_s)
            if notifier:  # before what it tells of is deleted
                await run_in_threadpool(notifier.close, _LAST_MESSAGES_S)
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
    app.include_router(worklist)  # before ids: its paths are words
    app.include_router(api)
    app.include_router(dicomweb)
    app.include_router(results)
    return Guard(app, settings, metrics)


async def _error_answer(_: Request, error: Exception) -> Response:
    """Every error in one form."""
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for nothing else
    return _problem(error.status_code, str(error.detail), getattr(error, "problems", []), error.headers)


async def _invalid_answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]]
    return _problem(422, "; ".join(problems))


def _problem(
    status: int, detail: str, problems: Sequence[NotTaken] = (), headers: Mapping[str, str] | None = None
) -> Response:
    content = ErrorModel.of(status, detail, list(problems)).model_dump()
    return JSONResponse(content, status, headers=headers, media_type=PROBLEM_TYPE)
