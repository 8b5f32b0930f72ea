"""Many films into a folder of results: one bad file never stops the rest, and a killed batch goes on."""

import csv
import hashlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lunglens import __version__
from lunglens.errors import LungLensError, NotAChestRadiographError, OutputError
from lunglens.files import readable, write_atomically, write_bytes, write_json
from lunglens.finding import Finding
from lunglens.pipeline import Analyzer
from lunglens.radiograph import read_radiograph
from lunglens.report.dicom import DICOM_FILES, NoDicomSourceError, dicom_results, read_source
from lunglens.report.panel import draw_panel, mask_image
from lunglens.report.words import panel_lines

ENDINGS = {".dcm", ".dicom", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}
JOURNAL = ".lunglens-journal.jsonl"
SUMMARY = "summary.csv"
MOST_STARTS = 2  # a file that ended the process this often is not tried again


@dataclass(frozen=True)
class Outcome:
    """A row of `summary.csv`; status is "analyzed", "refused" or "failed"."""

    path: str
    status: str
    covid_probability: float | None = None
    decision: str | None = None
    reason: str | None = None
    seconds: float = 0.0
    result: str = ""


@dataclass(frozen=True)
class Job:
    """One film to do: its file, the name its results get, and a key that changes when the file or the models do."""

    path: Path
    name: str
    key: str


def find_films(paths: Iterable[Path]) -> list[Path]:
    """Files as named, and the image files below folders (by ending, or the DICOM mark where there is none), each once.

    Raises:
        LungLensError: a path is not there.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise LungLensError(f"{path}: not found; give files or folders")
        for film in _films_below(path) if path.is_dir() else [path]:
            found.setdefault(film.resolve(), film)
    return list(found.values())


def run_batch(
    films: list[Path], out: Path, analyzer: Analyzer, write: "Writer", on_done: Callable[[Outcome], None]
) -> list[Outcome]:
    """Do every film that an earlier, killed run in `out` has not done, then write `summary.csv` for all of them.

    Args:
        films: from `find_films`.
        out: folder of the results; locked while the batch runs.
        analyzer: the models.
        write: what to do with one film: `write_analysis` or `write_segmentation`.
        on_done: called after each film (also for those found done).

    Raises:
        OutputError: the folder is in use by another batch, or cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lunglens.lock", timeout=0):
            outcomes = list(_work_off(films, out, analyzer, write, on_done))
            write_bytes(out / SUMMARY, summary_csv(outcomes).encode())
            return outcomes
    except Timeout as error:
        raise OutputError(f"{out}: another batch is writing here; wait for it or choose another --out") from error
    except OSError as error:
        raise OutputError(f"{out}: results cannot be written: {error}; free space or rights, then run again") from error


Writer = Callable[[Job, Path, Analyzer], Outcome]


@dataclass(frozen=True)
class AnalysisWriter:
    """Analyses one film into `<name>.json`, `<name>.panel.png` and, if it was not refused, `<name>.lungs.png`.

    dicom: of DICOM films also `<name>.lungs.seg.dcm`, `.heat.seg.dcm`, `.report.sr.dcm` and `.panel.sc.dcm`; of others
    the summary says why not. prevalence: also `<name>.report.html` and `<name>.report.pdf`, which reckon with it.
    """

    dicom: bool = False
    prevalence: float | None = None

    @property
    def __name__(self) -> str:
        """Decides, with film and models, whether a film is done already."""
        return f"analysis dicom={self.dicom} prevalence={self.prevalence}"

    def __call__(self, job: Job, out: Path, analyzer: Analyzer) -> Outcome:
        """See `Writer`."""
        finding = analyzer.analyze(read_radiograph(job.path))
        no_dicom = self._write_dicom(job, out, finding) if self.dicom else None
        if self.prevalence is not None:
            _write_report(job, out, finding, analyzer, self.prevalence)
        outcome = _write_finding(job, out, finding)
        return replace(outcome, reason="; ".join(filter(None, (outcome.reason, no_dicom))) or None)

    def _write_dicom(self, job: Job, out: Path, finding: Finding) -> str | None:
        for name in DICOM_FILES:  # of an earlier file of this name
            (out / f"{job.name}.{name}").unlink(missing_ok=True)
        try:
            files = dicom_results(read_source(job.path), finding).files()
        except NoDicomSourceError as error:
            return str(error)
        for name, content in files.items():
            write_bytes(out / f"{job.name}.{name}", content)
        return None


write_analysis = AnalysisWriter()


def _write_report(job: Job, out: Path, finding: Finding, analyzer: Analyzer, prevalence: float) -> None:
    from lunglens.report.sheet import sheet_html, sheet_of, sheet_pdf

    panel = io.BytesIO()
    draw_panel(finding, job.path.name).save(panel, "PNG")
    title = readable(job.path.name)
    measured = analyzer.classifier.measured
    sheet = sheet_of(title, panel_lines(finding), panel.getvalue(), measured, __version__, prevalence)
    write_bytes(out / f"{job.name}.report.html", sheet_html(sheet).encode())
    write_bytes(out / f"{job.name}.report.pdf", sheet_pdf(sheet))


def _write_finding(job: Job, out: Path, finding: Finding) -> Outcome:
    panel = draw_panel(finding, job.path.name)
    write_atomically(out / f"{job.name}.panel.png", lambda path: panel.save(path, compress_level=3))
    if finding.lungs is None:
        (out / f"{job.name}.lungs.png").unlink(missing_ok=True)  # of an earlier file of this name
    else:
        write_atomically(out / f"{job.name}.lungs.png", mask_image(finding.lungs).save)
    write_json(out / f"{job.name}.json", {"path": readable(job.path), **finding.to_dict()})
    return _outcome(job, finding)


def write_segmentation(job: Job, out: Path, analyzer: Analyzer) -> Outcome:
    """Only the lungs of one film, into `<name>.lungs.png`."""
    lungs, gate = analyzer.segment(read_radiograph(job.path))
    if not gate.accepted:
        return Outcome(readable(job.path), "refused", reason=gate.reason)
    write_atomically(out / f"{job.name}.lungs.png", mask_image(lungs).save)
    return Outcome(readable(job.path), "analyzed", result=f"{job.name}.lungs.png")


def summary_csv(outcomes: Iterable[Outcome]) -> str:
    """The batch as CSV text, header first."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(Outcome.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(outcome) for outcome in outcomes)
    return stream.getvalue()


def result_names(films: list[Path]) -> list[str]:
    """A file name for each film: its stem, or stem and a short hash of the path where stems collide."""
    stems = [readable(film.stem).replace("\\", "_") for film in films]
    times = Counter(stem.lower() for stem in stems)
    return [
        stem if times[stem.lower()] == 1 else f"{stem}-{_short_hash(readable(film.absolute()))}"
        for film, stem in zip(films, stems, strict=True)
    ]


def _work_off(
    films: list[Path], out: Path, analyzer: Analyzer, write: Writer, on_done: Callable[[Outcome], None]
) -> Iterator[Outcome]:
    done, starts = _read_journal(out / JOURNAL)
    with (out / JOURNAL).open("a", encoding="utf-8") as journal:
        for film, name in zip(films, result_names(films), strict=True):
            job = Job(film, name, _key(film, name, analyzer, write))
            outcome = done.get(job.key)
            if outcome is None or not (out / outcome.result).exists():
                _append(journal, {"started": job.key})
                outcome = _do(job, out, analyzer, write, starts[job.key])
                _append(journal, {"done": job.key, "outcome": asdict(outcome)})
            on_done(outcome)
            yield outcome


def _do(job: Job, out: Path, analyzer: Analyzer, write: Writer, earlier_starts: int) -> Outcome:
    path = readable(job.path)
    if earlier_starts >= MOST_STARTS:
        return Outcome(path, "failed", reason=f"ended the program {earlier_starts} times: the file may be malicious")
    start = time.perf_counter()
    try:
        outcome = write(job, out, analyzer)
    except NotAChestRadiographError as error:
        outcome = Outcome(path, "refused", reason=readable(error))
    except LungLensError as error:
        outcome = Outcome(path, "failed", reason=readable(error))
    except MemoryError:
        outcome = Outcome(path, "failed", reason="not enough memory for this image")
    return Outcome(**(asdict(outcome) | {"seconds": round(time.perf_counter() - start, 3)}))


def _outcome(job: Job, finding: Finding) -> Outcome:
    probability = finding.covid_probability
    return Outcome(
        path=readable(job.path),
        status=finding.status,
        covid_probability=None if probability is None else round(probability, 6),
        decision=finding.decision,
        reason=finding.reason,
        result=f"{job.name}.json",
    )


def _films_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() in ENDINGS or (not path.suffix and _has_dicom_mark(path)):
            yield path


def _has_dicom_mark(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _key(film: Path, name: str, analyzer: Analyzer, write: Writer) -> str:
    try:
        stat = film.stat()
        state = f"{stat.st_size} {stat.st_mtime_ns}"
    except OSError:
        state = "unreadable"
    models = [package.description["checksums"] for package in (analyzer.lungs, analyzer.classifier)]
    return _short_hash(f"{readable(film.absolute())} {name} {state} {models} {write.__name__}", 24)


def _read_journal(path: Path) -> tuple[dict[str, Outcome], Counter[str]]:
    """Outcomes by key, and how often each key was started without an end; a torn last line is passed over."""
    done: dict[str, Outcome] = {}
    starts: Counter[str] = Counter()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if "started" in entry:
            starts[entry["started"]] += 1
        elif "done" in entry:
            done[entry["done"]] = Outcome(**entry["outcome"])
            starts[entry["done"]] = 0
    return done, starts


def _append(journal: io.TextIOWrapper, entry: dict[str, Any]) -> None:
    journal.write(json.dumps(entry) + "\n")
    journal.flush()
    os.fsync(journal.fileno())


def _short_hash(text: str, length: int = 8) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
