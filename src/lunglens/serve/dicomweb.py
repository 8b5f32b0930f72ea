"""The DICOMweb store (STOW-RS, PS3.18 10.5): films are written to disk as they come, and queued when all have come."""

import shutil
from typing import IO, Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from lunglens.serve import stow
from lunglens.serve.pages import service_of
from lunglens.serve.queueing import queued
from lunglens.serve.service import Service
from lunglens.serve.task import FILM
from lunglens.serve.uploads import Received, take

dicomweb = APIRouter(tags=["DICOMweb"])
_BODY = {"requestBody": {"content": {"multipart/related": {}}, "required": True}}


@dicomweb.post("/studies", openapi_extra=_BODY)
@dicomweb.post("/studies/{study}", openapi_extra=_BODY)
async def store(request: Request, study: str | None = None, content_type: Annotated[str, Header()] = "") -> Response:
    """STOW-RS: store DICOM films for analysis; each reference's RetrieveURL is its analysis."""
    stored = _Stored(service_of(request), study)
    try:
        boundary = stow.boundary_of(content_type)
        parts = stow.Parts(boundary, stored.take)
        try:
            async for chunk in request.stream():
                await run_in_threadpool(parts.write, chunk)
            await run_in_threadpool(parts.finish)
        finally:
            parts.close()
    except stow.NotStowError as error:
        stored.received.discard()
        code = 415 if not content_type.startswith("multipart/related") else 400
        raise HTTPException(code, str(error)) from error
    except BaseException:
        stored.received.discard()
        raise
    return await run_in_threadpool(stored.answer, f"{str(request.base_url).rstrip('/')}/api/analyses")


class _Stored:
    """The parts of one request so far."""

    def __init__(self, service: Service, study: str | None) -> None:
        """study: the one whose films these have to be."""
        self.service, self.study, self.received = service, study, Received()
        self._instances: list[dict[str, Any]] = []
        self._failed: list[tuple[dict[str, Any], int]] = []

    def take(self, part: IO[bytes]) -> None:
        """Keep a part if it is one film, of this study."""
        before = len(self.received.films)
        take(part, "film.dcm", self.service, self.received)
        taken = self.received.films[before:]
        instance = stow.instance_of(taken[0][0] / FILM) if len(taken) == 1 else None
        if instance is not None and self.study in (None, instance["StudyInstanceUID"]):
            self._instances.append(instance)
            return
        self._failed.append((instance or {}, stow.CANNOT_UNDERSTAND))
        for folder, _, _ in taken:
            shutil.rmtree(folder, ignore_errors=True)
        del self.received.films[before:]

    def answer(self, base: str) -> Response:
        """Queue the films. base: URL of the analyses."""
        analyses = queued(self.service, self.received) if self.received.films else []
        references = [(instance, analysis.id) for instance, analysis in zip(self._instances, analyses, strict=True)]
        code = 409 if not references else 202 if self._failed else 200
        return JSONResponse(stow.answer(references, self._failed, base), code, media_type="application/dicom+json")
