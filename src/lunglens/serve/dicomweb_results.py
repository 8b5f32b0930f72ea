"""DICOMweb search and retrieval (QIDO-RS and WADO-RS, PS3.18 10.4 and 10.6) of results, while their films live.

What a client finds is the results of the films on its work list. A study is there as soon as a film of it is answered;
its objects are made when they are first asked for.
"""

import io
import json
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from lunglens.serve.accept import EXPLICIT_LITTLE_ENDIAN, chosen
from lunglens.serve.analysis import Analysis
from lunglens.serve.dicom_json import (
    INSTANCES,
    STUDY,
    BadQueryError,
    Record,
    matches,
    merged,
    query_of,
    shown,
    value_of,
)
from lunglens.serve.exports import exported
from lunglens.serve.pages import service_of
from lunglens.serve.schema import PROBLEM_TYPE, ErrorModel
from lunglens.serve.worklist import BEARER, Worklist

_JSON = "application/dicom+json"
_MANY, _ONE = 'multipart/related; type="application/dicom"', "application/dicom"
_MOST_FOUND = 1000
_CHUNK = 256 * 1024
_IN_STUDY = "/studies/{study}"
_IN_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"

Accept = Annotated[str, Header()]


class Page(NamedTuple):
    """Of a search's results."""

    limit: int
    offset: int


@dataclass(frozen=True)
class Result:
    """A DICOM object of an answered film. archive: in which it lies under a name. record: its metadata."""

    analysis: Analysis
    archive: Path
    name: str
    record: Record

    def path(self, level: str) -> str:
        """Of the resource, from the server's root."""
        study, series, instance = (value_of(self.record, f"{of}InstanceUID") for of in ("Study", "Series", "SOP"))
        series = f"/studies/{study}/series/{series}"
        return series if level == "series" else f"{series}/instances/{instance}"


results = APIRouter(
    tags=["DICOMweb"],
    dependencies=[BEARER],
    default_response_class=Response,
    responses={406: {"model": ErrorModel, "content": {PROBLEM_TYPE: {}}}},
)
_SEARCH: dict[str, Any] = {
    "responses": {
        200: {"content": {_JSON: {}}, "description": "DICOM JSON, a data set a result"},
        204: {"description": "nothing is found"},
    }
}
_METADATA: dict[str, Any] = {"responses": {200: {"content": {_JSON: {}}, "description": "all but the pixels"}}}
_RETRIEVE: dict[str, Any] = {
    "responses": {200: {"content": {"multipart/related": {}}, "description": "DICOM files, explicit little endian"}}
}
_PAGE = {"limit", "offset", "fuzzymatching", "includefield"}
Limit = Annotated[int, Query(ge=1, description=f"at most {_MOST_FOUND} are returned")]
Offset = Annotated[int, Query(ge=0)]


@results.get("/studies", **_SEARCH)
def search_studies(
    request: Request, limit: Limit = _MOST_FOUND, offset: Offset = 0, accept: Accept = "", worklist: Worklist = ""
) -> Response:
    """QIDO-RS: studies that have results. Other parameters are attributes, by keyword or tag, and what they match."""
    query = _query(request, "study")
    chosen(accept, (_JSON, "application/json"))
    base, found = _base(request), []
    for uid, films in _studies(request, worklist).items():
        record = merged(record for _, record in films)
        if matches(record, query):
            found.append(shown(record, "study", f"{base}/studies/{uid}"))
    return _answer(request, found, Page(limit, offset))


@results.get(f"{_IN_STUDY}/series", **_SEARCH)
async def search_series(
    request: Request,
    study: str,
    limit: Limit = _MOST_FOUND,
    offset: Offset = 0,
    accept: Accept = "",
    worklist: Worklist = "",
) -> Response:
    """QIDO-RS: series of a study's results; each result has its own."""
    return await _search(request, "series", worklist, (accept, Page(limit, offset)), study)


@results.get(f"{_IN_STUDY}/instances", **_SEARCH)
@results.get(f"{_IN_SERIES}/instances", **_SEARCH)
async def search_instances(
    request: Request,
    study: str,
    series: str = "",
    limit: Limit = _MOST_FOUND,
    offset: Offset = 0,
    accept: Accept = "",
    worklist: Worklist = "",
) -> Response:
    """QIDO-RS: a study's or series' results."""
    return await _search(request, "instance", worklist, (accept, Page(limit, offset)), study, series)


@results.get(f"{_IN_STUDY}/metadata", **_METADATA)
@results.get(f"{_IN_SERIES}/metadata", **_METADATA)
@results.get(f"{_INSTANCE}/metadata", **_METADATA)
async def metadata(
    request: Request, study: str, series: str = "", instance: str = "", accept: Accept = "", worklist: Worklist = ""
) -> Response:
    """WADO-RS: all attributes of results but the pixels."""
    chosen(accept, (_JSON, "application/json"))
    found = await _there(request, worklist, study, series, instance)
    return JSONResponse([result.record for result in found], media_type=_JSON)


@results.get(f"{_INSTANCE}/rendered", responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}})
async def rendered(
    request: Request, study: str, series: str, instance: str, accept: Accept = "", worklist: Worklist = ""
) -> Response:
    """WADO-RS: the panel as a picture. 406 for the other results, which are none."""
    found = await _there(request, worklist, study, series, instance)
    if value_of(found[0].record, "SOPClassUID") != SecondaryCaptureImageStorage:
        raise HTTPException(406, "only the Secondary Capture can be had as a picture")
    kind, stream = chosen(accept, ("image/jpeg", "image/png")), io.BytesIO()
    Image.open(found[0].analysis.folder / "panel.png").convert("RGB").save(stream, kind.removeprefix("image/"))
    return Response(stream.getvalue(), media_type=kind)


@results.get(_IN_STUDY, **_RETRIEVE)
@results.get(_IN_SERIES, **_RETRIEVE)
@results.get(_INSTANCE, **_RETRIEVE)
async def retrieve(
    request: Request, study: str, series: str = "", instance: str = "", accept: Accept = "", worklist: Worklist = ""
) -> Response:
    """WADO-RS: results as DICOM files; one alone also as application/dicom."""
    kind = chosen(accept, (_MANY, _ONE) if instance else (_MANY,))
    found = await _there(request, worklist, study, series, instance)
    if kind == _ONE:
        return StreamingResponse(_content(found[0]), media_type=_ONE)
    boundary = secrets.token_hex(16)
    return StreamingResponse(_parts(found, boundary), media_type=f"{_MANY}; boundary={boundary}")


def _query(request: Request, level: str) -> dict[str, str]:
    try:
        return query_of({name: value for name, value in request.query_params.items() if name not in _PAGE}, level)
    except BadQueryError as error:
        raise HTTPException(400, str(error)) from error


async def _search(
    request: Request, level: str, worklist: str, how: tuple[str, Page], study: str, series: str = ""
) -> Response:
    """how: what is accepted, and which of what is found."""
    query = _query(request, level)
    chosen(how[0], (_JSON, "application/json"))
    base = _base(request)
    found = [result for result in await _results(request, worklist, study) if _is_of(result, series, "")]
    records = [
        shown(result.record, level, base + result.path(level)) for result in found if matches(result.record, query)
    ]
    return _answer(request, records, how[1])


def _answer(request: Request, found: list[Record], page: Page) -> Response:
    """A page of what is found, and in headers what was not done, as PS3.18 10.6.3 and 8.3.4.2 word it."""
    end = page.offset + min(page.limit, _MOST_FOUND)
    warnings = {}
    if request.query_params.get("fuzzymatching") == "true":
        warnings["warning"] = (
            '299 lunglens "The fuzzymatching parameter is not supported. Only literal matching has been performed."'
        )
    elif page.limit >= _MOST_FOUND and end < len(found):
        left = len(found) - end
        warnings["warning"] = f'299 lunglens "There are {left} additional results that can be requested"'
    shown_ = found[page.offset : end]
    if not shown_:
        return Response(status_code=204, headers=warnings)
    return JSONResponse(shown_, media_type=_JSON, headers=warnings)


def _studies(request: Request, worklist: str) -> dict[str, list[tuple[Analysis, Record]]]:
    """Study Instance UID -> the answered films of it on a work list, a film that came twice once."""
    found: dict[str, list[tuple[Analysis, Record]]] = {}
    seen = set()
    for analysis in service_of(request).listed(worklist):
        if analysis.state not in ("analyzed", "refused") or analysis.sha256 in seen:
            continue
        try:
            record: Record = json.loads((analysis.folder / STUDY).read_bytes())
        except OSError:  # it is no DICOM film, or was deleted meanwhile
            continue
        seen.add(analysis.sha256)
        found.setdefault(value_of(record, "StudyInstanceUID"), []).append((analysis, record))
    return found


async def _results(request: Request, worklist: str, study: str) -> list[Result]:
    """The results of a study's films; those that were never made are made now."""
    studies = await run_in_threadpool(_studies, request, worklist)
    found: dict[str, Result] = {}
    for analysis, _ in studies.get(study, []):
        try:
            archive = await exported(request, analysis, "dicom")
            records = json.loads((analysis.folder / INSTANCES).read_bytes())
        except OSError:  # it was deleted meanwhile
            continue
        except HTTPException as error:
            if error.status_code != 409:  # there are none of this film
                raise
            continue
        for name, record in records.items():
            found.setdefault(value_of(record, "SOPInstanceUID"), Result(analysis, archive, name, record))
    return list(found.values())


async def _there(request: Request, worklist: str, study: str, series: str, instance: str) -> list[Result]:
    """Those that a path names.

    Raises:
        HTTPException: 404, there are none.
    """
    found = [result for result in await _results(request, worklist, study) if _is_of(result, series, instance)]
    if not found:
        raise HTTPException(404, "no such results on this work list")
    return found


def _is_of(result: Result, series: str, instance: str) -> bool:
    of_series = not series or value_of(result.record, "SeriesInstanceUID") == series
    return of_series and (not instance or value_of(result.record, "SOPInstanceUID") == instance)


def _parts(found: Sequence[Result], boundary: str) -> Iterator[bytes]:
    head = f"--{boundary}\r\nContent-Type: {_ONE}; transfer-syntax={EXPLICIT_LITTLE_ENDIAN}\r\n\r\n".encode()
    for result in found:
        yield head
        yield from _content(result)
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _content(result: Result) -> Iterator[bytes]:
    with zipfile.ZipFile(result.archive) as archive, archive.open(result.name) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")
