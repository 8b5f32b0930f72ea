"""The command line, put together from its groups of verbs."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lunglens.cli.config import app as config_app
from lunglens.cli.crossval import app as crossval_app
from lunglens.cli.crossval import compare, explain
from lunglens.cli.films import app as films_app
from lunglens.cli.options import ConfigFile, Data, Lungs, Out
from lunglens.cli.serve import app as serve_app
from lunglens.cli.study import app as study_app
from lunglens.files import readable
from lunglens.film.about import __version__


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
judge_app = typer.Typer()
judge_app.command()(compare)
judge_app.command()(explain)
for _panel, _verbs in (("Read films", films_app), ("Serve", serve_app), ("Studies", study_app), ("Judge", judge_app)):
    for _verb in _verbs.registered_commands:
        _verb.rich_help_panel = _panel
    app.add_typer(_verbs)
app.add_typer(config_app, name="config", rich_help_panel="Studies")
app.add_typer(train_app, name="train", rich_help_panel="Train")
app.add_typer(crossval_app, name="crossval", rich_help_panel="Train")
app.add_typer(evaluate_app, name="evaluate", rich_help_panel="Judge")


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
def train_classifier(data: Data, out: Out, config: ConfigFile = None, lungs: Lungs = None) -> None:
    """Train the classifier on films cut to the lungs, measure it by source, export it."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.study.config import load_config
    from lunglens.train.stages import classifier_stage

    classifier_stage(data, load_config(config).classifier, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("covid-lungs")
def evaluate_covid_lungs(data: Data, out: Out, lungs: Lungs = None) -> None:
    """Hold predicted lungs against the COVID masks (which include the heart), before and after post-processing."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.train.stages import covid_lungs_stage

    covid_lungs_stage(data, lungs or shipped_models() / "lungs", out)


@evaluate_app.command("gate")
def evaluate_gate(
    data: Data,
    out: Out,
    lungs: Lungs = None,
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
        extra = _extra_that_brings((error.name or "").split(".")[0])
        if extra is None:
            raise
        typer.echo(f"lunglens: {error.name} is missing; this needs: pip install 'lunglens[{extra}]'", err=True)
        sys.exit(2)


def _extra_that_brings(module: str) -> str | None:
    """The extra that lists a module's package, by what is installed of LungLens; None where none does."""
    package = "scikit-learn" if module == "sklearn" else module.replace("_", "-")
    with suppress(PackageNotFoundError):  # it is run from a copy of the source
        for extra in ("train", "serve", "cluster"):
            if any(re.match(rf"{package}[^\w-].*extra == .{extra}\b", line) for line in requires("lunglens") or ()):
                return extra
    return None
