"""The command line's verbs for films: analyze, segment, predict, verify."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from lunglens.cli.options import AsJson, Classifier, Device, Films, Lungs, Out, answer, progress
from lunglens.film.about import PREVALENCE
from lunglens.film.language import ENGLISH, languages
from lunglens.text import readable

if TYPE_CHECKING:
    from lunglens.film.analyzer import Analyzer
    from lunglens.film.batch import SummaryRow, Writer
    from lunglens.film.batch.models import Models, Work

app = typer.Typer()

Layout = Annotated[
    Literal["flat", "sharded"], typer.Option("--layout", help="sharded: results in up to 256 folders below --out.")
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Also do those films again that have failed before.")]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Processes that share the films; else as many as cores, where films are many."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="The I-th of N parts of the films alone, as one task of a cluster."),
]
ListSkipped = Annotated[
    bool, typer.Option("--list-skipped", help="Name each file of a folder that is no film, and say why.")
]


def _known_language(code: str) -> str:
    if code not in languages():
        raise typer.BadParameter(f"there are {', '.join(languages())}")
    return code


@app.command()
def analyze(  # noqa: PLR0913, PLR0917 - an option each
    paths: Films,
    out: Out,
    lungs: Lungs = None,
    classifier: Classifier = None,
    device: Device = "cpu",
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Of DICOM films also SEG, SR, outlines and pictures (extra 'serve').")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Also a page as HTML and PDF (extra 'serve').")] = False,
    paper: Annotated[Literal["a4", "letter"], typer.Option(help="Of the report's PDF.")] = "a4",
    identify: Annotated[
        bool,
        typer.Option("--identify", help="The report tells date, accession number and SHA-256; else of nobody."),
    ] = False,
    language: Annotated[
        str, typer.Option(callback=_known_language, help=f"Of the report: {', '.join(languages())}.")
    ] = ENGLISH,
    prevalence: Annotated[
        float, typer.Option(min=0.0001, max=0.9999, help="Share of the first of two classes among your patients.")
    ] = PREVALENCE,
    numbers_only: Annotated[bool, typer.Option("--numbers-only", help="JSON and summary.csv, no pictures.")] = False,
    layout: Layout = "flat",
    jobs: Jobs = None,
    shard: Shard = None,
    retry_failed: RetryFailed = False,
    list_skipped: ListSkipped = False,
) -> None:
    """Analyse films: JSON, panel and lung mask for each, and summary.csv for all.

    Exit code 0: all answered, 1: some refused or failed, 2: wrong use.
    """
    from lunglens.film.batch import AnalysisWriter
    from lunglens.film.batch.models import Models

    if identify and not report:
        raise typer.BadParameter("--identify is of the report; give --report, too")
    if dicom or report:  # say at once that the extra is missing
        import highdicom  # noqa: F401
        import typst  # noqa: F401
    films = _films_of(paths, list_skipped, shard)
    writer = AnalysisWriter(dicom, report, paper, identify, language, not numbers_only)
    models = Models(lungs, classifier, device, prevalence)
    run_analysis(films, out, writer, models, retry_failed, jobs, layout)


@app.command()
def segment(  # noqa: PLR0913, PLR0917 - an option each
    paths: Films,
    out: Out,
    lungs: Lungs = None,
    device: Device = "cpu",
    layout: Layout = "flat",
    jobs: Jobs = None,
    shard: Shard = None,
    retry_failed: RetryFailed = False,
    list_skipped: ListSkipped = False,
) -> None:
    """Write the lung masks of films, and nothing else."""
    from lunglens.film.batch import LungsWriter
    from lunglens.film.batch.models import Models

    films = _films_of(paths, list_skipped, shard)
    run_analysis(films, out, LungsWriter(), Models(lungs, device=device), retry_failed, jobs, layout)


@app.command()
def predict(  # noqa: PLR0913, PLR0917 - an option each
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="Classifier package.")],
    paths: Films,
    out: Annotated[Path, typer.Option("--out", help="FILE.csv or FILE.parquet (extra 'train'); run again to go on.")],
    jobs: Jobs = None,
    shard: Shard = None,
    lungs: Lungs = None,
    device: Device = "cpu",
    ray: Annotated[
        str | None, typer.Option("--ray", help="Address of a Ray cluster that shares them ('auto'; extra 'cluster').")
    ] = None,
) -> None:
    """What a classifier says of films, as numbers only: a row a film, in their order.

    Exit code 0: all answered, 1: some refused or failed, 2: wrong use.
    """
    from lunglens.film.batch.models import Models
    from lunglens.film.batch.predict import predict as predict_films

    if ray is not None and jobs is not None:
        raise typer.BadParameter("--jobs is of this machine; leave it out with --ray")
    films, passed_over = _films_of(paths, False, shard)
    models = Models(lungs, package, device)
    elsewhere = None if ray is None else _on_ray(ray, out, models)
    with _bar(len(films)) if ray is None else nullcontext(lambda _: None) as on_done:
        rows = predict_films(films, out, _loaded(models), jobs, on_done, elsewhere)
    _end([row.status for row in rows], out, passed_over)


def _on_ray(address: str, out: Path, models: "Models") -> "Work":
    from functools import partial

    from lunglens.cli.options import console
    from lunglens.jobs import run_jobs_on_ray
    from lunglens.jobs.films import answer_by_jobs

    run = partial(run_jobs_on_ray, address=address, gpus_per_job=0, console=console())
    return partial(answer_by_jobs, folder=out.with_name(f".{out.name}.jobs"), models=models, run=run)


@app.command()
def watch(
    tables: Annotated[
        list[Path], typer.Argument(metavar="TABLE...", help="summary.csv of analyze, or CSV of predict, oldest first.")
    ],
    classifier: Classifier = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also as JSON into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Are the films of late like those that the classifier was judged on? Exit code 1: no."""
    from dataclasses import asdict

    from lunglens.errors import ModelPackageError
    from lunglens.files import write_json
    from lunglens.film.drift import Drift, read_numbers
    from lunglens.film.model_package.package import load_package, shipped_models

    package = load_package(classifier or shipped_models() / "classifier", "classification")
    if not package.record.reference:
        raise ModelPackageError(f"{package.folder}: has no reference to watch by; export it again from its run")
    drift = Drift(package.record.reference)
    for table in tables:
        for numbers in read_numbers(table):
            drift.add(numbers)
    found, lines = drift.state(), []
    for name, one in found.items():
        verdict = "drifted" if one.is_there else "no drift" if one.n else "no films"
        gain = f"10^{one.log10_gain:.1f}"
        lines.append(f"{name}: {verdict}; {one.n} films, stability index {one.index:.3f}, gain of a bet on it {gain}")
    content = {name: asdict(one) | {"drifted": one.is_there} for name, one in found.items()}
    answer(lines, content, as_json)
    if out is not None:
        write_json(out, content)
    raise typer.Exit(1 if any(one.is_there for one in found.values()) else 0)


@app.command()
def verify(
    packages: Annotated[list[Path] | None, typer.Argument(help="Packages; without any, those that ship.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Re-check model packages: checksums and golden case. Exit code 0: all are good, 1: not all."""
    from lunglens.film.model_package.package import verify_folders

    found = []
    for name, problems in verify_folders(packages or (), device):
        found.append({"package": name, "good": not problems, "problems": problems})
        for line in [] if as_json else problems or [f"{name}: good"]:
            typer.echo(readable(line), err=bool(problems))
    answer((), found, as_json)
    raise typer.Exit(0 if all(each["good"] for each in found) else 1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Is all there that an analysis needs? Versions, models, decoders, cores, folders. Exit code 0: yes, 1: no."""
    from dataclasses import asdict

    from lunglens.cli.doctor import examine, lines_of

    found = examine()
    answer(map(readable, lines_of(found)), [asdict(check) for check in found], as_json)
    raise typer.Exit(0 if all(check.good for check in found) else 1)


def _films_of(paths: list[Path], list_skipped: bool, shard: str | None) -> tuple[list[Path], str]:
    """The films among the files and folders, and a line about what is none (empty where all are); a part of them.

    Where there is no film at all, that is said, and the program ends.
    """
    from lunglens.film.batch import find_films

    skipped: Counter[str] = Counter()

    def on_passed_over(path: str, why: str) -> None:
        skipped[why] += 1
        if list_skipped:
            typer.echo(f"{readable(path)}: passed over: {why}")

    part = _part_of(shard)
    films = find_films(paths, on_passed_over)
    kinds = ", ".join(f"{count} {why}" for why, count in skipped.most_common())
    line = f"{skipped.total()} {'file' if skipped.total() == 1 else 'files'} passed over: {kinds}" if skipped else ""
    if not films:
        typer.echo("lunglens: no image files there (DICOM, PNG, JPEG or TIFF)", err=True)
        if line:
            typer.echo(line, err=True)
        raise typer.Exit(2)
    return films[part], line


def _part_of(shard: str | None) -> slice:
    """Every N-th film from the I-th on: where films of a kind lie together, the parts take alike long."""
    if shard is None:
        return slice(None)
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", shard)
    number, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= parts:
        raise typer.BadParameter(f"{shard}: give I/N, from 1/N to N/N", param_hint="--shard")
    return slice(number - 1, None, parts)


def run_analysis(
    found: tuple[list[Path], str],
    out: Path,
    write: "Writer",
    models: "Models",
    retry_failed: bool,
    jobs: int | None,
    layout: Layout,
) -> NoReturn:
    """Run a batch over films, say what has become of it, and end the program."""
    from lunglens.film.batch import SUMMARY, run_batch
    from lunglens.film.batch.processes import processes_for

    films, passed_over = found
    analyzer = _loaded(models)
    with _bar(len(films)) as on_done:
        processes = processes_for(len(films), jobs)
        outcomes = run_batch(films, out, analyzer, write, on_done, retry_failed, jobs=processes, layout=layout)
    _end([outcome.status for outcome in outcomes], out / SUMMARY, passed_over)


def _loaded(models: "Models") -> "Analyzer":
    """They, and the process that decodes beside them, ready: what is wrong with a model is no film's fault."""
    from lunglens.film.reading.apart import prepare

    prepare()
    analyzer = models.load()
    analyzer.prepare()
    return analyzer


@contextmanager
def _bar(films: int) -> Iterator[Callable[["SummaryRow"], None]]:
    """What to call after each film: it moves a bar, and says which film was not analysed and why."""
    if films == 1:  # is done before a bar is drawn
        yield lambda row: typer.echo(_said(row), err=True) if row.status != "analyzed" else None
        return
    with progress() as bar:
        task = bar.add_task("films", total=films)

        def on_done(row: "SummaryRow") -> None:
            bar.advance(task)
            if row.status != "analyzed":
                bar.console.print(_said(row), markup=False, highlight=False, emoji=False, soft_wrap=True)

        yield on_done


def _said(row: "SummaryRow") -> str:
    return readable(f"{row.path}: {row.status}: {row.reason}")


def _end(statuses: list[str], table: Path, passed_over: str) -> NoReturn:
    """Say what has become of the films, and end the program."""
    counts = Counter(statuses)
    summary = ", ".join(f"{counts[status]} {status}" for status in ("analyzed", "refused", "failed"))
    typer.echo(f"{summary}; see {readable(table)}")
    if passed_over:
        typer.echo(passed_over)
    raise typer.Exit(0 if counts["analyzed"] == len(statuses) else 1)
