"""The command line, put together from its groups of verbs."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lunglens.cli.config import app as config_app
from lunglens.cli.films import app as films_app
from lunglens.cli.serve import app as serve_app
from lunglens.cli.study import app as study_app
from lunglens.cli.train import app as train_app
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
app.add_typer(films_app)
app.add_typer(serve_app)
app.add_typer(study_app)
app.add_typer(train_app)
app.add_typer(config_app, name="config")


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
