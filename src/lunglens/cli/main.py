"""The command line: one verb a stage. Everything heavy is imported inside the verb that needs it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lunglens.cli.crossval import app as crossval_app
from lunglens.cli.crossval import compare, explain
from lunglens.cli.films import found_films, run_films
from lunglens.cli.serve import app as serve_app
from lunglens.cli.study import app as study_app
from lunglens.files import readable
from lunglens.film.about import __version__

TRAINING_MODULES = {"httpx2", "jinja2", "kornia", "lightning", "matplotlib", "onnx", "openpyxl", "pandas", "sklearn"}
TRAINING_MODULES |= {"timm", "torch"}
SERVING_MODULES = {"fastapi", "h11", "highdicom", "prometheus_client", "pynetdicom", "python_multipart", "reportlab"}
SERVING_MODULES |= {"starlette", "uvicorn"}


class _Group(TyperGroup):
    """Ctrl-C, and what is wrong with a command line, are told in our way."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As the base class."""
        with _told_our_way():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """As the base class."""
        with _told_our_way():
            return super().invoke(ctx)


@contextmanager
def _told_our_way() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("lunglens: stopped; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        tell = getattr(error, "format_message", None)  # typer's own errors have it, whose base class it hides
        if tell is not None:
            error.format_message = lambda: readable(tell())  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="lunglens",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train models (needs the extra: pip install 'lunglens\\[train]').", no_args_is_help=True)
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
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Also do those films again that have failed before.")]
ListSkipped = Annotated[
    bool, typer.Option("--list-skipped", help="Name each file of a folder that is no film, and say why.")
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"lunglens {__version__}")
        raise typer.Exit


@app.callback()
def lunglens(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """A chest X-ray in; lung fields, a probability of COVID-19, a heat-map and how far to trust them out.

    Research use only, not a medical device.
    """


@app.command()
def analyze(  # noqa: PLR0913, PLR0917 - an option each
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
    retry_failed: RetryFailed = False,
    list_skipped: ListSkipped = False,
) -> None:
    """Analyse films: JSON, panel and lung mask for each, and summary.csv for all.

    Exit code 0: all answered, 1: some refused or failed, 2: wrong use.
    """
    from lunglens.film.batch import AnalysisWriter

    if dicom or report:  # say at once that the extra is missing
        import highdicom  # noqa: F401
        import reportlab  # noqa: F401
    films = found_films(paths, list_skipped)
    write = AnalysisWriter(dicom, prevalence if report else None)
    run_films(films, out, write, (lungs, classifier), retry_failed)


@app.command()
def segment(
    paths: Films,
    out: Out,
    lungs: Package = None,
    retry_failed: RetryFailed = False,
    list_skipped: ListSkipped = False,
) -> None:
    """Write the lung masks of films, and nothing else."""
    from lunglens.film.batch import LungsWriter

    run_films(found_films(paths, list_skipped), out, LungsWriter(), (lungs, None), retry_failed)


@app.command()
def verify(
    packages: Annotated[list[Path] | None, typer.Argument(help="Packages; without any, those that ship.")] = None,
) -> None:
    """Re-check model packages: checksums and golden case. Exit code 0: all are good, 1: not all."""
    from lunglens.errors import ModelPackageError
    from lunglens.film.model_package.package import load_package, shipped_models, verify_package

    bad = False
    for folder in packages or [shipped_models() / name for name in ("lungs", "classifier", "orientation")]:
        try:
            package = load_package(folder)
            problems = verify_package(package)
            good = f"{package.name}: good"
        except ModelPackageError as error:
            problems, good = [str(error)], ""
        bad = bad or bool(problems)
        for line in problems or [good]:
            typer.echo(readable(line), err=bool(problems))
    raise typer.Exit(1 if bad else 0)


@train_app.command("lungs")
def train_lungs(data: Data, out: Out, config: ConfigFile = None) -> None:
    """Train the lung UNet on Montgomery and Shenzhen, measure it on held-out patients, export it."""
    from lunglens.study.config import load_config
    from lunglens.train.stages import lungs_stage

    lungs_stage(data, load_config(config).lungs, out)


@train_app.command("gate")
def train_gate(
    data: Data, lungs: Annotated[Path, typer.Option(help="Lungs package to fit for; it is updated.")]
) -> None:
    """Learn the gate for a lungs package: frontal chest film or not, polarity."""
    from lunglens.train.stages import gate_stage

    gate_stage(data, lungs)


@train_app.command("orientation")
def train_orientation(
    data: Data,
    out: Out,
    without: Annotated[str, typer.Option(help="Source left out for the rate on a hospital not seen.")] = "hannover",
) -> None:
    """Learn which way round a film lies: turned by 90, 180 or 270 degrees, mirrored."""
    from lunglens.train.stages_orientation import orientation_stage

    orientation_stage(data, out, without)


@train_app.command("classifier")
def train_classifier(data: Data, out: Out, config: ConfigFile = None, lungs: Package = None) -> None:
    """Train the classifier on films cut to the lungs, measure it by source, export it."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.study.config import load_config
    from lunglens.train.stages import classifier_stage

    classifier_stage(data, load_config(config).classifier, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("covid-lungs")
def evaluate_covid_lungs(data: Data, out: Out, lungs: Package = None) -> None:
    """Hold predicted lungs against the COVID masks (which include the heart), before and after post-processing."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.train.stages import covid_lungs_stage

    covid_lungs_stage(data, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("gate")
def evaluate_gate(
    data: Data,
    out: Out,
    lungs: Package = None,
    per_source: Annotated[int | None, typer.Option(help="Frontal films of each source; all if not given.")] = None,
) -> None:
    """Run the whole gate over the films of the data: share refused by kind and source, with reasons."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.train.stages import gate_evaluation_stage

    gate_evaluation_stage(data, lungs or shipped_models() / "lungs", out, per_source)


@evaluate_app.command("orientation")
def evaluate_orientation(
    out: Out,
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of upright frontal films not trained on.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the data sets.")] = None,
    per_source: Annotated[int, typer.Option(help="Films of each source or folder.")] = 100,
) -> None:
    """Turn and mirror upright films in all eight ways and count what the analysis makes of them."""
    from lunglens.train.stages_orientation import orientation_evaluation_stage

    orientation_evaluation_stage(data, folders or [], out, per_source)


def main() -> None:
    """Entry point: errors that LungLens raises on purpose are one line, not a traceback."""
    from lunglens.errors import LungLensError, OutputError

    # Processes that this one starts would else import what lies in the current folder: a numpy.py, say.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        app()
    except LungLensError as error:
        typer.echo(f"lunglens: {readable(error)}", err=True)
        sys.exit(1 if isinstance(error, OutputError) else 2)
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        extra = "serve" if module in SERVING_MODULES else "train" if module in TRAINING_MODULES else None
        if extra is None:
            raise
        typer.echo(f"lunglens: {error.name} is missing; this needs: pip install 'lunglens[{extra}]'", err=True)
        sys.exit(2)
