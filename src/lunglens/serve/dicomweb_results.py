"""DICOMweb search and retrieval (QIDO-RS and WADO-RS, PS3.18 10.4 and 10.6) of results, while their films live.

What a client finds is the results of the films on its work list. A study is there as soon as a film of it is answered;
its objects are made when they are first asked for.
"""

import io
import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from PIL import Image
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from lunglens.serve.accept import chosen
from lunglens.serve.dicom_json import BadQueryError, Record, matches, merged, query_of, shown, value_of
from lunglens.serve.dicom_results import Asked, Result, content_of, results_of, studies_of, there
from lunglens.serve.schema import PROBLEM_TYPE, ErrorModel
from lunglens.serve.worklist import BEARER, Worklist

_JSON = "application/dicom+json"
_MANY, _ONE = 'multipart/related; type="application/dicom"', "application/dicom"
_MOST_FOUND = 1000
_IN_STUDY = "/studies/{study}"
_IN_SERIES = "/studies/{study}/series/{series}"
_INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"


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
    "responses": {200: {"content": {"multipart/related": {}}, "description": "DICOM files as they are kept"}}
}
_PAGE = {"limit", "offset", "fuzzymatching", "includefield"}


class Search(Asked):
    """A search: which of what is found is returned."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, description=f"at most {_MOST_FOUND} are returned")] = _MOST_FOUND,
        offset: Annotated[int, Query(ge=0)] = 0,
        accept: Annotated[str, Header()] = "",
        worklist: Worklist = "",
    ) -> None:
        super().__init__(request, accept, worklist)
        self.limit, self.offset = limit, offset


Asks = Annotated[Asked, Depends()]
Searches = Annotated[Search, Depends()]


@results.get("/studies", **_SEARCH)
def search_studies(search: Searches) -> Response:
    """QIDO-RS: studies that have results. Other parameters are attributes, by keyword or tag, and what they match."""
    query = _query(search, "study")
    found = []
    for uid, films in studies_of(search).items():
        record = merged(record for _, record in films)
        if matches(record, query):
            found.append(shown(record, "study", f"{search.base}/studies/{uid}"))
    return _answer(search, found)


@results.get(f"{_IN_STUDY}/series", **_SEARCH)
async def search_series(search: Searches, study: str) -> Response:
    """QIDO-RS: series of a study's results; each result has its own."""
    return await _searched(search, "series", study)


@results.get(f"{_IN_STUDY}/instances", **_SEARCH)
async def search_study_instances(search: Searches, study: str) -> Response:
    """QIDO-RS: a study's results."""
    return await _searched(search, "instance", study)


@results.get(f"{_IN_SERIES}/instances", **_SEARCH)
async def search_instances(search: Searches, study: str, series: str) -> Response:
    """QIDO-RS: a series' results."""
    return await _searched(search, "instance", study, series)


@results.get(f"{_IN_STUDY}/metadata", **_METADATA)
async def study_metadata(asked: Asks, study: str) -> Response:
    """WADO-RS: all attributes of a study's results but the pixels."""
    return await _metadata(asked, study)


@results.get(f"{_IN_SERIES}/metadata", **_METADATA)
async def series_metadata(asked: Asks, study: str, series: str) -> Response:
    """WADO-RS: all attributes of a series' results but the pixels."""
    return await _metadata(asked, study, series)


@results.get(f"{_INSTANCE}/metadata", **_METADATA)
async def instance_metadata(asked: Asks, study: str, series: str, instance: str) -> Response:
    """WADO-RS: all attributes of a result but the pixels."""
    return await _metadata(asked, study, series, instance)


@results.get(f"{_INSTANCE}/rendered", responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}})
async def rendered(asked: Asks, study: str, series: str, instance: str) -> Response:
    """WADO-RS: panel, or heat over the film, as a picture. 406 for the other results, which are none."""
    [result] = await there(asked, study, series, instance)
    if value_of(result.record, "SOPClassUID") != SecondaryCaptureImageStorage:
        raise HTTPException(406, "only a Secondary Capture can be had as a picture")
    kind = chosen(asked.accept, ("image/jpeg", "image/png"))
    content = await run_in_threadpool(_drawn, result, kind.removeprefix("image/"))
    return Response(content, media_type=kind)


@results.get(_IN_STUDY, **_RETRIEVE)
async def retrieve_study(asked: Asks, study: str) -> Response:
    """WADO-RS: a study's results as DICOM files."""
    return _files(chosen(asked.accept, (_MANY,)), await there(asked, study))


@results.get(_IN_SERIES, **_RETRIEVE)
async def retrieve_series(asked: Asks, study: str, series: str) -> Response:
    """WADO-RS: a series' results as DICOM files."""
    return _files(chosen(asked.accept, (_MANY,)), await there(asked, study, series))


@results.get(_INSTANCE, **_RETRIEVE)
async def retrieve_instance(asked: Asks, study: str, series: str, instance: str) -> Response:
    """WADO-RS: a result as a DICOM file, also as application/dicom alone."""
    return _files(chosen(asked.accept, (_MANY, _ONE)), await there(asked, study, series, instance))


def _drawn(result: Result, kind: str) -> bytes:
    """A Secondary Capture of our own as JPEG or PNG."""
    dataset, stream = dcmread(io.BytesIO(b"".join(content_of(result)))), io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(stream, kind)
    return stream.getvalue()


async def _metadata(asked: Asked, *uids: str) -> Response:
    chosen(asked.accept, (_JSON, "application/json"))
    return JSONResponse([result.record for result in await there(asked, *uids)], media_type=_JSON)


def _files(kind: str, found: Sequence[Result]) -> Response:
    if kind == _ONE:
        return StreamingResponse(content_of(found[0]), media_type=_ONE)
    boundary = secrets.token_hex(16)
    return StreamingResponse(_parts(found, boundary), media_type=f"{_MANY}; boundary={boundary}")


def _query(search: Search, level: str) -> dict[str, str]:
    """What a search's results have to match, after a look at what it accepts."""
    chosen(search.accept, (_JSON, "application/json"))
    asked = {name: value for name, value in search.request.query_params.items() if name not in _PAGE}
    try:
        return query_of(asked, level)
    except BadQueryError as error:
        raise HTTPException(400, str(error)) from error


async def _searched(search: Search, level: str, study: str, *series: str) -> Response:
    query = _query(search, level)
    found = [result for result in await results_of(search, study) if result.uids[1 : 1 + len(series)] == series]
    records = [
        shown(result.record, level, search.base + result.path(level))
        for result in found
        if matches(result.record, query)
    ]
    return _answer(search, records)


def _answer(search: Search, found: list[Record]) -> Response:
    """A page of what is found, and in headers what was not done, as PS3.18 10.6.3 and 8.3.4.2 word it."""
    end = search.offset + min(search.limit, _MOST_FOUND)
    warnings = {}
    if search.request.query_params.get("fuzzymatching") == "true":
        warnings["warning"] = (
            '299 lunglens "The fuzzymatching parameter is not supported. Only literal matching has been performed."'
        )
    elif search.limit >= _MOST_FOUND and end < len(found):
        left = len(found) - end
        warnings["warning"] = f'299 lunglens "There are {left} additional results that can be requested"'
    page = found[search.offset : end]
    if not page:
        return Response(status_code=204, headers=warnings)
    return JSONResponse(page, media_type=_JSON, headers=warnings)


def _parts(found: Sequence[Result], boundary: str) -> Iterator[bytes]:
    for result in found:
        syntax = value_of(result.record, "AvailableTransferSyntaxUID")
        yield f"--{boundary}\r\nContent-Type: {_ONE}; transfer-syntax={syntax}\r\n\r\n".encode()
        yield from content_of(result)
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
