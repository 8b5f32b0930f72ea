"""What several verbs share: arguments and options, the console that they speak to, a bar, an answer as JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from lunglens.train.crossval.run_folder import Runner

Films = Annotated[list[Path], typer.Argument(metavar="PATH...", help="DICOM, PNG, JPEG or TIFF files, or folders.")]
Study = Annotated[Path, typer.Argument(metavar="STUDY", help="A folder that curate has made.")]
Data = Annotated[Path, typer.Option("--data", envvar="LUNGLENS_DATA", help="Folder that holds the data sets.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; run again to go on.")]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", help="TOML file, or a name that `lunglens config list` gives; else the paper's."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key, such as classifier.optimization.epochs=3."),
]
Seed = Annotated[int | None, typer.Option(help="For every seed of the configuration.")]
Lungs = Annotated[Path | None, typer.Option("--lungs", help="Lungs package instead of the one that ships.")]
Classifier = Annotated[
    Path | None,
    typer.Option("--classifier", help="Classifier package, or the name of another that ships, such as hrnet."),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
Device = Annotated[
    Literal["cpu", "openvino", "cuda"],
    typer.Option("--device", help="Where networks run: openvino (extra 'openvino'), cuda (needs onnxruntime-gpu)."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Folds at a time on this machine.")]
Ray = Annotated[str | None, typer.Option("--ray", help="Address of a Ray cluster to run the folds on ('auto').")]
Gpus = Annotated[float, typer.Option("--gpus-per-job", min=0, help="On Ray: GPUs a fold; a fraction shares one.")]


class Verbs(TyperGroup):
    """A list of verbs under headings, in plain text: rich's boxes would take as long as all of `lunglens --help`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """As the base class; no help is cut off."""
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        headings = [getattr(command, "rich_help_panel", None) or "Commands" for command in commands]
        for heading in dict.fromkeys(headings):
            below = [command for command, over in zip(commands, headings, strict=True) if over == heading]
            with formatter.section(heading):
                formatter.write_dl([(str(command.name), command.get_short_help_str(200)) for command in below])


def answer(lines: Iterable[str], content: Any, as_json: bool) -> None:
    """Say what a verb has found: in lines, or the same content as JSON, in ASCII whatever the terminal can show."""
    for line in [json.dumps(content, indent=1)] if as_json else lines:
        typer.echo(line)


def console() -> "Console":
    """What is said while a verb works goes to stderr; stdout is for its answer."""
    from rich.console import Console

    return Console(stderr=True)


def runner(jobs: int, ray: str | None, gpus_per_job: float) -> "Runner":
    """What runs a verb's folds: processes of this machine, or a Ray cluster where an address is given."""
    from lunglens.jobs import Job, JobResult, run_jobs, run_jobs_on_ray

    def run(work: Sequence[Job], display: "Console") -> list[JobResult]:
        if ray is not None:
            return run_jobs_on_ray(work, ray, gpus_per_job, display)
        return run_jobs(work, jobs, display)

    return run


def progress() -> "Progress":
    """A bar with what is done, how many a second, and the time that is left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: object) -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text(f"{speed:.1f}/s" if speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn())
    return Progress(*columns, console=console())
