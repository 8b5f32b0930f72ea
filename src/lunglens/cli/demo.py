"""`lunglens demo`: an example radiograph through the analysis."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("demo-output"),
    show: Annotated[bool, typer.Option("--open", help="Open the report, without the extra the panel.")] = False,
) -> None:
    """Analyse an example radiograph (of pydicom-data): all that analyze writes, report and DICOM with extra 'serve'."""
    from lunglens.cli.films import run_analysis
    from lunglens.film.batch import AnalysisWriter
    from lunglens.film.batch.models import Models

    film = _example()
    all_of_it = all(find_spec(module) for module in ("highdicom", "typst"))
    typer.echo(f"{film.name}: multiple pulmonary masses, not COVID-19")
    try:
        writer = AnalysisWriter(dicom=all_of_it, report=all_of_it)
        run_analysis(([film], ""), out, writer, Models(), False, jobs=1, layout="flat")
    except typer.Exit as end:
        if show and end.exit_code == 0:
            typer.launch(str(out / f"{film.stem}.{'report.html' if all_of_it else 'panel.png'}"))
        raise


def _example() -> Path:
    from lunglens.errors import DataError

    try:
        return Path(str(files("data_store"))) / "data" / "RG1_UNCR.dcm"
    except ModuleNotFoundError as error:
        raise DataError("the example film is not there: pip install pydicom-data, then run again") from error
