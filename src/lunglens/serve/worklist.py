"""Work lists: what a client has sent, found again after a reload, in another tab, or after a restart with `--keep`."""

import asyncio
import os
import re
import tempfile
import zipfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from starlette.background import BackgroundTask

from lunglens.film.batch.summary import SUMMARY, SummaryRow, summary_csv
from lunglens.film.finding_record import FindingRecord
from lunglens.serve.analysis import Analysis
from lunglens.serve.exports import exported
from lunglens.serve.pages import service_of
from lunglens.serve.schema import AnalysisModel, ListModel, State
from lunglens.serve.server_results import pictures_of
from lunglens.serve.service import Service

_MOST_LISTED = 1000
_AT_A_TIME = 8  # films that are drawn for an archive
_UNSAFE = re.compile(r"[^\w.-]+")

Worklist = Annotated[
    str,
    Header(
        alias="lunglens-list",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="name of your work list, long and random; without one films are on a list that all can read",
    ),
]
# For the document alone: the guard before all routes asks for the token.
BEARER = Depends(HTTPBearer(auto_error=False, description="where the server was started with --token-file"))
Share = Annotated[float | None, Query(ge=0, le=1)]

worklist = APIRouter(prefix="/api", tags=["work list"], dependencies=[BEARER])


@worklist.get("/analyses", response_model_exclude_unset=True)
def listed(
    request: Request,
    state: Annotated[list[State] | None, Query(description="one or several; none: all")] = None,
    at_least: Annotated[Share, Query(description="probability of the first class")] = None,
    at_most: Annotated[Share, Query(description="probability of the first class")] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED)] = 100,
    worklist: Worklist = "",
) -> ListModel:
    """The films of a work list, in the order of their coming."""
    service = service_of(request)
    analyses = service.listed(worklist)
    wanted = [one for one in analyses if state is None or one.state in state]
    if at_least is not None or at_most is not None:
        low, high = at_least or 0.0, 1.0 if at_most is None else at_most
        wanted = [one for one in wanted if (share := _probability(one)) is not None and low <= share <= high]
    return ListModel(
        analyses=[model_of(service, one) for one in wanted[offset : offset + limit]],
        total=len(wanted),
        states=Counter(one.state for one in analyses),
    )


@worklist.delete("/analyses", status_code=204)
def clear(request: Request, worklist: Worklist = "") -> None:
    """Delete all films of a work list and their results now; those that wait are not begun."""
    service = service_of(request)
    for analysis in reversed(service.listed(worklist)):
        service.forget(analysis)


@worklist.get("/analyses/results.zip", response_class=FileResponse)
async def results(request: Request, worklist: Worklist = "") -> Response:
    """All results of a work list: a table, and a JSON file and a panel a film; panels are drawn now that never were."""
    service = service_of(request)
    analyses = [one for one in service.listed(worklist) if one.is_done]
    for first in range(0, len(analyses), _AT_A_TIME):
        await asyncio.gather(*(_panel(request, one) for one in analyses[first : first + _AT_A_TIME]))
    classes = [entry.name for entry in request.app.state.models.classifier.parameters.answer.classes]
    handle, name = tempfile.mkstemp(dir=service.folder, suffix=".zip")
    os.close(handle)
    path = Path(name)
    await run_in_threadpool(_write_results, path, analyses, classes)
    return FileResponse(path, media_type="application/zip", background=BackgroundTask(path.unlink))


async def _panel(request: Request, analysis: Analysis) -> None:
    """Have it drawn; where that cannot be, the film goes without."""
    with suppress(HTTPException, OSError):
        if "panel" in pictures_of(analysis.folder):
            await exported(request, analysis, "pictures")


def model_of(service: Service, analysis: Analysis) -> AnalysisModel:
    """What the API says of an analysis."""
    result = result_of(analysis)
    pictures = pictures_of(analysis.folder) if result else []
    return AnalysisModel(
        **{name: getattr(analysis, name) for name in ("id", "label", "state", "reason", "sha256")},
        result=result,
        pictures=pictures,
        place=service.place(analysis) if analysis.state == "queued" else None,
        kept_s=service.kept_s(analysis),
    )


def result_of(analysis: Analysis) -> FindingRecord | None:
    """The finding of a film that was analysed or refused."""
    path = analysis.folder / "result.json"
    if analysis.state not in ("analyzed", "refused") or not path.is_file():
        return None
    return FindingRecord.model_validate_json(path.read_bytes())


def _probability(analysis: Analysis) -> float | None:
    result = result_of(analysis)
    return next(iter(result.probabilities.values())) if result and result.probabilities else None


def _write_results(path: Path, analyses: list[Analysis], classes: list[str]) -> None:
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, analysis in enumerate(analyses, 1):
            stem = f"{number:04d}-{_UNSAFE.sub('_', analysis.label)}"
            result, label = result_of(analysis), Path(analysis.label)
            if result is None:
                rows.append(SummaryRow(analysis.label, "failed", reason=analysis.reason))
                continue
            rows.append(SummaryRow.of(label, result, f"{stem}.json"))
            archive.write(analysis.folder / "result.json", f"{stem}.json")
            if (analysis.folder / "panel.png").is_file():
                archive.write(analysis.folder / "panel.png", f"{stem}.png", zipfile.ZIP_STORED)
        archive.writestr(SUMMARY, summary_csv(rows, classes))
