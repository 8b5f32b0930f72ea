"""The command line's verbs for configurations: list, show, copy, schema."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from lunglens.cli.options import AsJson, Verbs, answer
from lunglens.text import readable

app = typer.Typer(help="Configurations: those that ship, and every key there is.", no_args_is_help=True, cls=Verbs)

Name = Annotated[str, typer.Argument(help="A configuration that `lunglens config list` gives, or a TOML file.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the configurations that ship, with what each is for; those of earlier systems under a heading."""
    from lunglens.study.config import shipped_configs
    from lunglens.study.config.tree import SYSTEMS

    found: list[dict[str, str | bool]] = [
        {"name": name, "is_earlier_system": path.parent == SYSTEMS, "purpose": _purpose(path)}
        for name, path in shipped_configs().items()
    ]
    general, systems = (_lines([row for row in found if row["is_earlier_system"] == kind]) for kind in (False, True))
    heading = "The twelve earlier systems of the paper's table 1 (`lunglens systems` says more):"
    answer([*general, "", heading, *systems], found, as_json)


def _purpose(config: Path) -> str:
    """The first line of its file."""
    first, *_ = config.read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# ")


def _lines(configs: list[dict[str, str | bool]]) -> list[str]:
    width = max(len(str(row["name"])) for row in configs) + 2
    return [f"{row['name']}:".ljust(width) + str(row["purpose"]) for row in configs]


@app.command()
def show(name: Name) -> None:
    """Print a configuration as it is written; what it does not say has the default (see `lunglens config schema`)."""
    from lunglens.study.config import config_path, load_config

    load_config(name)
    typer.echo(config_path(name).read_text(encoding="utf-8"), nl=False)


@app.command()
def copy(name: Name, to: Annotated[Path, typer.Argument(help="Folder, or the new file.")]) -> None:
    """Copy a configuration to change it, with the exclusion lists that it names."""
    from lunglens.errors import OutputError
    from lunglens.study.config import config_path, load_config

    study, source = load_config(name).study, config_path(name)
    target = to if to.suffix == ".toml" else to / source.name
    lists = [criterion.file for criterion in study.criteria if criterion.kind == "exclusion-list"] if study else []
    files = {source: target} | {source.parent / file: target.parent / file for file in lists}
    for path in files.values():
        if path.exists():
            raise OutputError(f"{path}: is there already; choose another name or remove it")
    try:
        for old, new in files.items():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old, new)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); free space or rights, then run again") from error
    typer.echo(f"{readable(target)}; use it with --config {readable(target)}")


@app.command()
def schema() -> None:
    """Print every key with its type, default and meaning, as Markdown (docs/configuration.md)."""
    from lunglens.study.config import Config
    from lunglens.study.config.schema import markdown

    typer.echo(markdown(Config), nl=False)
