"""Films answered by jobs: what `lunglens predict --ray` deals out to the machines of a cluster."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lunglens.errors import LungLensError
from lunglens.film.batch.models import Models, begin
from lunglens.film.batch.predict import predict_film
from lunglens.film.batch.processes import work_off
from lunglens.film.batch.summary import SummaryRow
from lunglens.film.model_package.session import Device
from lunglens.jobs.job import Job, JobResult

PER_JOB = 200  # films: half a minute of one core


class FilmsFailedError(LungLensError):
    """Some jobs have no result; what the others have answered is kept."""


def answer_by_jobs(
    left: dict[str, Path], folder: Path, models: Models, run: Callable[[Sequence[Job]], list[JobResult]]
) -> Iterator[tuple[str, SummaryRow | None]]:
    """What became of each film, by its key; None of one that ends the process which reads it.

    Args:
        left: the films by key.
        folder: of the jobs; those that have ended are not run again.
        models: found under the same paths wherever jobs run, as the films are.
        run: runs jobs and says what became of them.

    Raises:
        FilmsFailedError: some jobs failed; their logs say why.
    """
    films = [(key, str(film.resolve())) for key, film in left.items()]
    packages = [None if package is None else str(package.resolve()) for package in (models.lungs, models.classifier)]
    more = {"packages": packages, "device": models.device, "where": str(folder.resolve().parent)}
    failed = []
    parts = [films[first : first + PER_JOB] for first in range(0, len(films), PER_JOB)]
    for outcome in run([_job(number, part, folder, more) for number, part in enumerate(parts)]):
        if outcome.state == "failed":
            failed.append(outcome)
            continue
        for key, row in outcome.result:
            yield key, row and SummaryRow(**row)
    if failed:
        first = failed[0]
        raise FilmsFailedError(
            f"{len(failed)} of {len(parts)} jobs failed, such as {first.job.name}: {first.error}; see {first.job.log}, "
            "then run again: the others are not done twice"
        )


def _job(number: int, part: list[tuple[str, str]], folder: Path, more: dict[str, Any]) -> Job:
    name = hashlib.sha256("".join(key for key, _ in part).encode()).hexdigest()[:16]
    words = f"films {number * PER_JOB + 1} to {number * PER_JOB + len(part)}"
    return Job(words, folder / name, f"{__name__}:answer", {"films": part, **more})


def answer(
    _folder: Path, films: list[tuple[str, str]], packages: list[str | None], device: Device, where: str
) -> list[Any]:
    """One job: key and row of each film, by a process that a film may end. where: for the log of errors."""
    lungs, classifier = (None if package is None else Path(package) for package in packages)
    left = {key: Path(film) for key, film in films}
    do = partial(predict_film, folder=Path(where))
    found = work_off(left, partial(begin, do, Models(lungs, classifier, device)), 1)
    return [(key, row and asdict(row)) for key, row in found]
