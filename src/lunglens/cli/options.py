"""Options that several verbs have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Data = Annotated[Path, typer.Option("--data", envvar="LUNGLENS_DATA", help="Folder that holds the data sets.")]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", help="TOML file, or a name that `lunglens config list` gives; else the paper's."),
]


def console() -> "Console":
    """Where progress is shown: standard error, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True)
