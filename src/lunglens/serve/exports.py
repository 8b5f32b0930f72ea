"""Files that are made of an analysed film when they are first asked for."""

import asyncio
import time
from pathlib import Path

from fastapi import HTTPException, Request

from lunglens.serve.analysis import Analysis
from lunglens.serve.pages import service_of
from lunglens.serve.service import QueueFullError
from lunglens.serve.task import Answer, Export
from lunglens.serve.uploads import busy

_LONGEST_S = 60.0
_POLL_S = 0.02
_NAMES: dict[Export, str] = {"pictures": "panel.png", "dicom": "dicom.zip", "stored": "stored.bin"}


async def exported(request: Request, analysis: Analysis, kind: Export) -> Path:
    """Where `panel.png` (among all pictures), `dicom.zip` or `stored.bin` of an answered film lies, written now if it
    never was.

    Raises:
        HTTPException: 409 where it cannot be made of this film, 503 where too much waits.
    """
    path = analysis.folder / _NAMES[kind]
    if path.is_file():
        return path
    answers: list[Answer] = []
    try:
        service_of(request).export(kind, analysis, answers.append)
    except QueueFullError as error:
        raise busy(error) from error
    deadline = time.monotonic() + _LONGEST_S
    while not answers:
        if time.monotonic() > deadline or await request.is_disconnected():
            raise HTTPException(503, "the export takes too long; try again later", {"retry-after": "5"})
        await asyncio.sleep(_POLL_S)
    if answers[0].status != "done":
        raise HTTPException(409, answers[0].reason or f"no {path.name}")
    return path
