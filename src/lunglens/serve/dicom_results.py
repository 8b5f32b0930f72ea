"""The DICOM objects of the answered films on a work list: found, made where nobody has asked for them yet, and read."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Header, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from lunglens.serve.analysis import Analysis
from lunglens.serve.dicom_json import INSTANCES, STUDY, Record, value_of
from lunglens.serve.exports import exported
from lunglens.serve.pages import service_of
from lunglens.serve.worklist import Worklist

_CHUNK = 256 * 1024


class Asked:
    """What every request says: what is accepted, and which work list it is about."""

    def __init__(self, request: Request, accept: Annotated[str, Header()] = "", worklist: Worklist = "") -> None:
        self.request, self.accept, self.worklist = request, accept, worklist
        self.base = str(request.base_url).rstrip("/")


@dataclass(frozen=True)
class Result:
    """A DICOM object of an answered film. archive: in which it lies under a name. record: its metadata."""

    analysis: Analysis
    archive: Path
    name: str
    record: Record

    @property
    def uids(self) -> tuple[str, ...]:
        """Of study, series and instance."""
        return tuple(value_of(self.record, f"{of}InstanceUID") for of in ("Study", "Series", "SOP"))

    def path(self, level: str) -> str:
        """Of the resource, from the server's root."""
        study, series, instance = self.uids
        series = f"/studies/{study}/series/{series}"
        return series if level == "series" else f"{series}/instances/{instance}"


def studies_of(asked: Asked) -> dict[str, list[tuple[Analysis, Record]]]:
    """Study Instance UID -> the answered films of it on a work list, a film that came twice once.

    Nothing of the common list, which all can read: records name patients.
    """
    found: dict[str, list[tuple[Analysis, Record]]] = {}
    if not asked.worklist:
        return found
    seen = set()
    for analysis in service_of(asked.request).listed(asked.worklist):
        if analysis.state not in ("analyzed", "refused") or analysis.sha256 in seen:
            continue
        try:
            record: Record = json.loads((analysis.folder / STUDY).read_bytes())
        except OSError:  # it is no DICOM film, or was deleted meanwhile
            continue
        seen.add(analysis.sha256)
        found.setdefault(value_of(record, "StudyInstanceUID"), []).append((analysis, record))
    return found


async def results_of(asked: Asked, study: str) -> list[Result]:
    """The results of a study's films; those that were never made are made now."""
    studies = await run_in_threadpool(studies_of, asked)
    found: dict[str, Result] = {}
    for analysis, _ in studies.get(study, []):
        try:
            archive = await exported(asked.request, analysis, "dicom")
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


async def there(asked: Asked, study: str, *below: str) -> list[Result]:
    """Those that a path names. below: of series and instance.

    Raises:
        HTTPException: 404, there are none.
    """
    uids = (study, *below)
    found = [result for result in await results_of(asked, study) if result.uids[: len(uids)] == uids]
    if not found:
        raise HTTPException(404, "no such results on this work list")
    return found


def content_of(result: Result) -> Iterator[bytes]:
    """The bytes of its file, piece by piece."""
    with zipfile.ZipFile(result.archive) as archive, archive.open(result.name) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
