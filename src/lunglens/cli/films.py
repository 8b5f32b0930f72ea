"""What the command line's verbs for films share: finding them, and a batch with its progress."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lunglens.files import readable

if TYPE_CHECKING:
    from rich.progress import Progress

    from lunglens.film.batch import SummaryRow, Writer


def found_films(paths: list[Path], list_skipped: bool) -> tuple[list[Path], str]:
    """The films among the files and folders, and a line about what is none (empty where all are)."""
    from lunglens.film.batch import find_films

    skipped: Counter[str] = Counter()

    def on_passed_over(path: str, why: str) -> None:
        skipped[why] += 1
        if list_skipped:
            typer.echo(f"{readable(path)}: passed over: {why}")

    films = find_films(paths, on_passed_over)
    kinds = ", ".join(f"{count} {why}" for why, count in skipped.most_common())
    line = f"{skipped.total()} {'file' if skipped.total() == 1 else 'files'} passed over: {kinds}" if skipped else ""
    return films, line


def run_films(
    found: tuple[list[Path], str],
    out: Path,
    write: "Writer",
    packages: tuple[Path | None, Path | None],
    retry_failed: bool,
) -> None:
    """Run a batch over what `found_films` has found, say what has become of it, and end the program."""
    from lunglens.film.analyzer import Analyzer
    from lunglens.film.batch import SUMMARY, run_batch
    from lunglens.film.reading.apart import prepare

    films, passed_over = found
    if not films:
        typer.echo("lunglens: no image files there (DICOM, PNG, JPEG or TIFF)", err=True)
        if passed_over:
            typer.echo(passed_over, err=True)
        raise typer.Exit(2)
    prepare()
    analyzer = Analyzer.load(*packages)
    analyzer.prepare()
    with _progress() as progress:
        task = progress.add_task("films", total=len(films))

        def on_done(outcome: "SummaryRow") -> None:
            progress.advance(task)
            if outcome.status != "analyzed":
                line = readable(f"{outcome.path}: {outcome.status}: {outcome.reason}")
                progress.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

        outcomes = run_batch(films, out, analyzer, write, on_done, retry_failed)
    counts = {status: sum(o.status == status for o in outcomes) for status in ("analyzed", "refused", "failed")}
    said = ", ".join(f"{count} {status}" for status, count in counts.items())
    typer.echo(f"{said}; see {readable(out / SUMMARY)}")
    if passed_over:
        typer.echo(passed_over)
    raise typer.Exit(0 if counts["analyzed"] == len(outcomes) else 1)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
