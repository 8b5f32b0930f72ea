"""The command line, put together from its groups of verbs."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, requires
from typing import Annotated, Any

import typer

from lunglens.cli.config import app as config_app
from lunglens.cli.demo import app as demo_app
from lunglens.cli.evaluate import app as evaluate_app
from lunglens.cli.films import app as films_app
from lunglens.cli.options import Verbs
from lunglens.cli.serve import app as serve_app
from lunglens.cli.study import app as study_app
from lunglens.cli.systems import app as systems_app
from lunglens.cli.train import app as train_app
from lunglens.film.about import __version__
from lunglens.text import readable

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


class _Group(Verbs):
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
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_PANELS = (
    ("Read films", films_app),
    ("Read films", demo_app),
    ("Serve", serve_app),
    ("Studies", study_app),
    ("Train", systems_app),
    ("Train", train_app),
    ("Judge", evaluate_app),
)
for _panel, _verbs in _PANELS:
    _below: list[Any] = [*_verbs.registered_commands, *_verbs.registered_groups]
    for _verb in _below:
        _verb.rich_help_panel = _panel
    app.add_typer(_verbs)
app.add_typer(config_app, name="config", rich_help_panel="Studies")


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
    """A chest X-ray in; lung fields, probabilities of classes, a heat-map and how far to trust them out.

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
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        place = f"{readable(error.filename)}: " if error.filename else ""
        typer.echo(f"lunglens: {place}{error.strerror}; free space or rights, then run again", err=True)
        sys.exit(1)
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
