"""The command line's verbs for cross-validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lunglens.cli.options import ConfigFile, Data, console
from lunglens.files import readable

if TYPE_CHECKING:
    from rich.console import Console

    from lunglens.train.crossval.run_folder import Runner

app = typer.Typer(help="Cross-validate (needs the extra 'train').", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Run folder; run again to go on.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Folds at a time on this machine.")]
Ray = Annotated[str | None, typer.Option("--ray", help="Address of a Ray cluster to run the folds on ('auto').")]
Gpus = Annotated[float, typer.Option("--gpus-per-job", min=0, help="On Ray: GPUs a fold; a fraction shares one.")]


@app.command("lungs")
def lungs(  # noqa: PLR0913, PLR0917 - an option each
    data: Data,
    out: Out,
    config: ConfigFile = None,
    folds: Annotated[int, typer.Option(min=2, help="How many.")] = 10,
    by: Annotated[
        Literal["patient", "source"], typer.Option(help="Folds of patients, or site against site.")
    ] = "patient",
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Algorithm 1: out-of-fold lung masks, Dice, IoU, HD95 and surface distance of every film."""
    from lunglens.study.config import load_config
    from lunglens.study.folds import FoldSettings
    from lunglens.train.crossval.lungs import crossval_lungs

    settings = load_config(config).lungs
    folding = FoldSettings(by, folds, seed=settings.split.seed)
    metrics = crossval_lungs(data, settings, folding, out, _runner(jobs, ray, gpus_per_job), console())
    if metrics.pooled is not None:
        dice = metrics.pooled.dice
        low, high = dice.mean_95_ci or ("-", "-")
        typer.echo(f"Dice {dice.mean} ({low} to {high}) over {dice.n} films; see {readable(out)}")


@app.command("classifier")
def classifier(  # noqa: PLR0913, PLR0917 - an option each
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A folder that curate has made, with folds.")],
    out: Out,
    config: ConfigFile = None,
    model: Annotated[str | None, typer.Option(help="Any timm name instead of the configuration's.")] = None,
    uncut: Annotated[bool, typer.Option("--uncut", help="Show the whole film instead of the lungs.")] = False,
    test: Annotated[
        Path | None, typer.Option(help="A study that was curated --apart-from this one: test every model on it too.")
    ] = None,
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Algorithm 2: every film of a study predicted once by a classifier that has not seen its patient."""
    from lunglens.study.config import load_config
    from lunglens.study.folder import load_study
    from lunglens.train.crossval.classifier import crossval_classifier

    settings = load_config(config).classifier
    if model is not None:
        settings = settings.model_copy(update={"backbone": model})
    if uncut:
        settings = settings.model_copy(update={"view": settings.view.model_copy(update={"cut": False})})
    runner = _runner(jobs, ray, gpus_per_job)
    unseen = None if test is None else load_study(test)
    metrics = crossval_classifier(load_study(study), settings, out, runner, console(), unseen)
    if metrics.pooled is not None:
        never_seen = f", never seen: AUROC {metrics.external['all'].auroc}" if metrics.external else ""
        typer.echo(f"AUROC {metrics.pooled.auroc}, accuracy {metrics.pooled.accuracy}{never_seen}; see {readable(out)}")


def explain(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The study of both runs.")],
    uncut: Annotated[Path, typer.Option(help="Finished run trained on whole films (crossval classifier --uncut).")],
    cut: Annotated[Path, typer.Option(help="Finished run trained on films cut to the lungs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for numbers and figures.")],
    cases: Annotated[int, typer.Option(min=1, help="Films of each class in the picture, drawn at random.")] = 3,
    brixia: Annotated[
        Path | None, typer.Option(help="Public Brixia annotations: do the maps point at the radiologists' zones?")
    ] = None,
) -> None:
    """Figures 9 and 12: out-of-fold heat-maps with and without cutting, and how much of the heat is in the lungs."""
    from lunglens.study.folder import load_study
    from lunglens.train.crossval.compare_heatmaps import ExplainSettings
    from lunglens.train.crossval.compare_heatmaps import explain as explain_runs

    found = explain_runs(load_study(study), uncut, cut, out, ExplainSettings(cases, brixia), console())
    for side, words in (("uncut", "whole films"), ("cut", "cut films")):
        heat, area = found["all"][side]["heat_share"], found["all"][side]["area_share"]
        typer.echo(f"trained on {words}: {heat} of the heat in the lungs, which cover {area} of the film")
    typer.echo(f"see {readable(out)}")


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Finished classifier run folders.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for tables and figures.")] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Recompute what can be of the paper's printed figures.")
    ] = False,
) -> None:
    """Table 7: models side by side on the same folds, with paired intervals and tests."""
    from lunglens.evaluate.compare import compare as compare_runs
    from lunglens.evaluate.figures.comparison import markdown, write_comparison
    from lunglens.evaluate.printed_tables_report import paper_report

    if not paper and not (runs and out):
        raise typer.BadParameter("give run folders and --out, or --paper")
    if paper:
        typer.echo(paper_report())
    if runs and out:
        comparison = compare_runs(runs)
        write_comparison(comparison, out)
        typer.echo(markdown(comparison))


def _runner(jobs: int, ray: str | None, gpus_per_job: float) -> "Runner":
    from lunglens.jobs import Job, Outcome, run_jobs, run_jobs_on_ray

    def run(work: "Sequence[Job]", display: "Console") -> list[Outcome]:
        if ray is not None:
            return run_jobs_on_ray(work, ray, gpus_per_job, display)
        return run_jobs(work, jobs, display)

    return run
