"""The command line: one verb a stage. Everything heavy is imported inside the verb that needs it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lunglens.cli_crossval import app as crossval_app
from lunglens.cli_crossval import compare, explain
from lunglens.cli_serve import app as serve_app
from lunglens.cli_study import app as study_app

if TYPE_CHECKING:
    from rich.progress import Progress

    from lunglens.batch import Outcome, Writer

TRAINING_MODULES = {"httpx2", "jinja2", "kornia", "lightning", "matplotlib", "onnx", "openpyxl", "pandas", "sklearn"}
TRAINING_MODULES |= {"timm", "torch"}
SERVING_MODULES = {"fastapi", "h11", "highdicom", "prometheus_client", "pynetdicom", "python_multipart", "reportlab"}
SERVING_MODULES |= {"starlette", "uvicorn"}

app = typer.Typer(
    name="lunglens",
    help="A chest X-ray in; lung fields, a probability of COVID-19, a heat-map and how far to trust them out. "
    "Research use only, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train models (needs the extra: pip install 'lunglens[train]').", no_args_is_help=True)
evaluate_app = typer.Typer(help="Measure packaged models on data (needs the extra 'train').", no_args_is_help=True)
app.add_typer(study_app)
app.add_typer(serve_app)
app.add_typer(train_app, name="train")
app.add_typer(crossval_app, name="crossval")
app.command()(compare)
app.command()(explain)
app.add_typer(evaluate_app, name="evaluate")

Films = Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM, PNG, JPEG or TIFF files, or folders.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; run again to continue.")]
Data = Annotated[Path, typer.Option("--data", envvar="LUNGLENS_DATA", help="Folder that holds the data sets.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; without it, the paper's settings.")]
Package = Annotated[Path | None, typer.Option(help="Model package to use instead of the one that ships.")]


@app.command()
def analyze(
    paths: Films,
    out: Out,
    lungs: Package = None,
    classifier: Package = None,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Of DICOM films also SEG, SR and Secondary Capture (extra 'serve').")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Also a page as HTML and PDF (extra 'serve').")] = False,
    prevalence: Annotated[
        float, typer.Option(min=0.0001, max=0.9999, help="Share of COVID-19 among your patients, for the report.")
    ] = 0.05,
) -> None:
    """Analyse films: JSON, panel and lung mask for each, and summary.csv for all.

    Exit code 0: all answered, 1: some refused or failed, 2: wrong use.
    """
    from lunglens.batch import AnalysisWriter

    if dicom or report:  # say at once that the extra is missing
        import highdicom  # noqa: F401
        import reportlab  # noqa: F401
    _run(paths, out, AnalysisWriter(dicom, prevalence if report else None), lungs, classifier)


@app.command()
def segment(paths: Films, out: Out, lungs: Package = None) -> None:
    """Write the lung masks of films, and nothing else."""
    from lunglens.batch import write_segmentation

    _run(paths, out, write_segmentation, lungs, None)


@app.command()
def verify(
    packages: Annotated[list[Path] | None, typer.Argument(help="Packages; without any, those that ship.")] = None,
) -> None:
    """Re-check model packages: checksums and golden case."""
    from lunglens.package import load_package, shipped_models, verify_package

    bad = False
    for folder in packages or [shipped_models() / "lungs", shipped_models() / "classifier"]:
        package = load_package(folder)
        problems = verify_package(package)
        bad = bad or bool(problems)
        typer.echo("\n".join(problems) if problems else f"{package.name}: good", err=bool(problems))
    raise typer.Exit(1 if bad else 0)


@train_app.command("lungs")
def train_lungs(data: Data, out: Out, config: ConfigFile = None) -> None:
    """Train the lung UNet on Montgomery and Shenzhen, measure it on held-out patients, export it."""
    from lunglens.config import load_config
    from lunglens.stages import lungs_stage

    lungs_stage(data, load_config(config).lungs, out)


@train_app.command("gate")
def train_gate(
    data: Data, lungs: Annotated[Path, typer.Option(help="Lungs package to fit for; it is updated.")]
) -> None:
    """Learn the gate for a lungs package: frontal chest film or not, polarity."""
    from lunglens.stages import gate_stage

    gate_stage(data, lungs)


@train_app.command("classifier")
def train_classifier(data: Data, out: Out, config: ConfigFile = None, lungs: Package = None) -> None:
    """Train the classifier on films cut to the lungs, measure it by source, export it."""
    from lunglens.config import load_config
    from lunglens.package import shipped_models
    from lunglens.stages import classifier_stage

    classifier_stage(data, load_config(config).classifier, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("covid-lungs")
def evaluate_covid_lungs(data: Data, out: Out, lungs: Package = None) -> None:
    """Hold predicted lungs against the COVID masks (which include the heart), before and after post-processing."""
    from lunglens.package import shipped_models
    from lunglens.stages import covid_lungs_stage

    covid_lungs_stage(data, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("gate")
def evaluate_gate(
    data: Data,
    out: Out,
    lungs: Package = None,
    per_source: Annotated[int | None, typer.Option(help="Frontal films of each source; all if not given.")] = None,
) -> None:
    """Run the whole gate over the films of the data: share refused by kind and source, with reasons."""
    from lunglens.package import shipped_models
    from lunglens.stages import gate_evaluation_stage

    gate_evaluation_stage(data, lungs or shipped_models() / "lungs", out, per_source)


def main() -> None:
    """Entry point: errors that LungLens raises on purpose are one line, not a traceback."""
    from lunglens.errors import LungLensError, OutputError

    try:
        app()
    except LungLensError as error:
        typer.echo(f"lunglens: {error}", err=True)
        sys.exit(1 if isinstance(error, OutputError) else 2)
    except KeyboardInterrupt:
        typer.echo("lunglens: stopped; run the same command again to go on", err=True)
        sys.exit(130)
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        extra = "serve" if module in SERVING_MODULES else "train" if module in TRAINING_MODULES else None
        if extra is None:
            raise
        typer.echo(f"lunglens: {error.name} is missing; this needs: pip install 'lunglens[{extra}]'", err=True)
        sys.exit(2)


def _run(paths: list[Path], out: Path, write: "Writer", lungs: Path | None, classifier: Path | None) -> None:
    from lunglens.batch import find_films, run_batch
    from lunglens.pipeline import Analyzer

    films = find_films(paths)
    if not films:
        typer.echo("lunglens: no image files there (DICOM, PNG, JPEG or TIFF)", err=True)
        raise typer.Exit(2)
    analyzer = Analyzer.load(lungs, classifier)
    with _progress() as progress:
        task = progress.add_task("films", total=len(films))

        def on_done(outcome: "Outcome") -> None:
            progress.advance(task)
            if outcome.status != "analyzed":
                progress.console.print(
                    f"{outcome.path}: {outcome.status}: {outcome.reason}", markup=False, soft_wrap=True
                )

        outcomes = run_batch(films, out, analyzer, write, on_done)
    counts = {status: sum(o.status == status for o in outcomes) for status in ("analyzed", "refused", "failed")}
    typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()) + f"; see {out / 'summary.csv'}")
    raise typer.Exit(0 if counts["analyzed"] == len(outcomes) else 1)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
