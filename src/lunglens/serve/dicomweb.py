"""DICOMweb Store (STOW-RS, PS3.18 10.5): a multipart/related body of DICOM files, and its answer in DICOM JSON.

Films are written to disk as they come, and queued when all have come.
"""

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Annotated, Any

import pydicom
from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from lunglens.serve.pages import service_of
from lunglens.serve.service import Service
from lunglens.serve.task import FILM
from lunglens.serve.uploads import Received, queued, take
from lunglens.serve.worklist import BEARER, Worklist

dicomweb = APIRouter(tags=["DICOMweb"], dependencies=[BEARER])
_BODY = {"requestBody": {"content": {"multipart/related": {}}, "required": True}}
_CANNOT_UNDERSTAND = 0xC000
_MOST_PARTS = 1000


ContentType = Annotated[str, Header()]


@dicomweb.post("/studies", openapi_extra=_BODY)
async def store(request: Request, content_type: ContentType = "", worklist: Worklist = "") -> Response:
    """STOW-RS: store DICOM films for analysis; each reference's RetrieveURL is its analysis."""
    return await _store(request, content_type, worklist, None)


@dicomweb.post("/studies/{study}", openapi_extra=_BODY)
async def store_in_study(
    request: Request, study: str, content_type: ContentType = "", worklist: Worklist = ""
) -> Response:
    """STOW-RS: store films of this study for analysis; others are refused."""
    return await _store(request, content_type, worklist, study)


async def _store(request: Request, content_type: str, worklist: str, study: str | None) -> Response:
    stored = _Stored(service_of(request), study, worklist)
    try:
        boundary = _boundary_of(content_type)
        parts = _Parts(boundary, stored.take)
        try:
            async for chunk in request.stream():
                await run_in_threadpool(parts.write, chunk)
            await run_in_threadpool(parts.finish)
        finally:
            parts.close()
    except _NotStowError as error:
        stored.received.discard()
        code = 415 if not content_type.startswith("multipart/related") else 400
        raise HTTPException(code, str(error)) from error
    except BaseException:
        stored.received.discard()
        raise
    return await run_in_threadpool(stored.answer, f"{str(request.base_url).rstrip('/')}/api/analyses")


class _Stored:
    """The parts of one request so far."""

    def __init__(self, service: Service, study: str | None, worklist: str) -> None:
        """study: the one whose films these have to be. worklist: where they go."""
        self.service, self.study, self.worklist, self.received = service, study, worklist, Received()
        self._instances: list[dict[str, Any]] = []
        self._failed: list[tuple[dict[str, Any], int]] = []

    def take(self, part: IO[bytes]) -> None:
        """Keep a part if it is one film, of this study."""
        before = len(self.received.films)
        take(part, "film.dcm", self.service, self.received)
        taken = self.received.films[before:]
        instance = _instance_of(taken[0][0] / FILM) if len(taken) == 1 else None
        if instance is not None and self.study in (None, instance["StudyInstanceUID"]):
            self._instances.append(instance)
            return
        self._failed.append((instance or {}, _CANNOT_UNDERSTAND))
        for folder, _, _ in taken:
            shutil.rmtree(folder, ignore_errors=True)
        del self.received.films[before:]

    def answer(self, base: str) -> Response:
        """Queue the films. base: URL of the analyses."""
        analyses = queued(self.service, self.received, self.worklist) if self.received.films else []
        references = [(instance, analysis.id) for instance, analysis in zip(self._instances, analyses, strict=True)]
        code = 409 if not references else 202 if self._failed else 200
        return JSONResponse(_answer(references, self._failed, base), code, media_type="application/dicom+json")


class _NotStowError(Exception):
    """The request is no multipart/related body of DICOM files."""


def _boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/related; type="application/dicom" content type.

    Raises:
        _NotStowError: it is of another type, or has no boundary.
    """
    message = Message()
    message["content-type"] = content_type
    boundary, kind = message.get_param("boundary"), message.get_param("type")
    if message.get_content_type() != "multipart/related" or not isinstance(boundary, str) or not boundary:
        raise _NotStowError('send multipart/related; type="application/dicom"; boundary=...')
    if kind is not None and kind != "application/dicom":
        raise _NotStowError(f"parts of type {kind} are not taken, only application/dicom")
    return boundary.encode("latin-1", "replace")


class _Parts:
    """A body that is taken apart as it comes: each part goes to disk, and from there to whoever takes it.

    Used by one thread at a time; all but `close` raise _NotStowError where the body is not as its boundary says.
    """

    def __init__(self, boundary: bytes, take: Callable[[IO[bytes]], None]) -> None:
        """take: called with each complete part, which it may read from its begin; afterwards it is gone."""
        self._take, self._count, self._has_ended = take, 0, False
        self._part = tempfile.TemporaryFile()  # noqa: SIM115 - one for all parts, until `close`
        with _as_not_stow():
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._body_end,
                },
            )

    def write(self, chunk: bytes) -> None:
        """Go on with this part of the body."""
        with _as_not_stow():
            self._parser.write(chunk)

    def finish(self) -> None:
        """The body has come to its end."""
        with _as_not_stow():
            self._parser.finalize()
        if not self._count:
            raise _NotStowError("the body has no part")
        if not self._has_ended:  # else its last film would be left out, and nobody told
            raise _NotStowError("the body ends within a part; send it again")

    def close(self) -> None:
        """Delete what is left of it."""
        self._part.close()

    def _begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise _NotStowError(f"more than {_MOST_PARTS} parts")
        self._part.seek(0)
        self._part.truncate()

    def _data(self, chunk: bytes, start: int, end: int) -> None:
        self._part.write(chunk[start:end])

    def _end(self) -> None:
        self._part.seek(0)
        self._take(self._part)

    def _body_end(self) -> None:
        self._has_ended = True


@contextmanager
def _as_not_stow() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:  # a boundary that is too long, too
        raise _NotStowError(f"the body is no multipart body ({error})") from error


def _instance_of(path: Path) -> dict[str, Any] | None:
    """A stored file's SOP class, instance and study; None where it is no DICOM, or deflated.

    A deflated data set would be inflated whole, without a limit, and in the process that serves.
    """
    names = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return None
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=names)
            instance = {name: str(dataset.get(name, "")) for name in names}
    except Exception:  # damaged headers raise anything
        return None
    return instance if instance["SOPInstanceUID"] else None


def _answer(
    stored: list[tuple[dict[str, Any], str]], failed: list[tuple[dict[str, Any], int]], base: str
) -> dict[str, Any]:
    """The Store Instances Response Module (PS3.18 table I.1-1); stored: instance and id of its analysis."""
    module: dict[str, Any] = {"00081190": {"vr": "UR", "Value": [base]}}
    if stored:
        items = [
            _reference(instance) | {"00081190": {"vr": "UR", "Value": [f"{base}/{id_}"]}} for instance, id_ in stored
        ]
        module["00081199"] = {"vr": "SQ", "Value": items}
    if failed:
        items = [_reference(instance) | {"00081197": {"vr": "US", "Value": [reason]}} for instance, reason in failed]
        module["00081198"] = {"vr": "SQ", "Value": items}
    return module


def _reference(instance: dict[str, Any]) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [instance.get("SOPClassUID", "")]},
        "00081155": {"vr": "UI", "Value": [instance.get("SOPInstanceUID", "")]},
    }
