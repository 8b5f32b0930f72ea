"""The command line's verbs for training and for measuring what was trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lunglens.cli.options import Changes, ConfigFile, Data, Lungs, Seed, Study, console
from lunglens.files import readable

if TYPE_CHECKING:
    from rich.console import Console

    from lunglens.evaluate.run_record import ClassifierMetrics
    from lunglens.train.crossval.run_folder import Runner

app = typer.Typer()
crossval_app = typer.Typer(help="Cross-validate (needs the extra 'train').", no_args_is_help=True)
train_app = typer.Typer(help="Train what every film goes through (needs the extra 'train').", no_args_is_help=True)
evaluate_app = typer.Typer(help="Measure packaged models on data (needs the extra 'train').", no_args_is_help=True)
app.add_typer(crossval_app, name="crossval")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Finished run folder of fit or of crossval classifier.")]
Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A classifier package.")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; run again to go on.")]
Model = Annotated[str | None, typer.Option(help="Any timm name instead of the configuration's.")]
System = Annotated[
    str | None, typer.Option(help="One of the earlier systems that `lunglens systems` lists, instead of --config.")
]
Uncut = Annotated[bool, typer.Option("--uncut", help="Show the whole film instead of the lungs.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Folds at a time on this machine.")]
Ray = Annotated[str | None, typer.Option("--ray", help="Address of a Ray cluster to run the folds on ('auto').")]
Gpus = Annotated[float, typer.Option("--gpus-per-job", min=0, help="On Ray: GPUs a fold; a fraction shares one.")]
RsnaBoxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes", metavar="TABLE", help="RSNA's boxes round opacities of NIH's films: does the heat lie in them?"
    ),
]


@app.command()
def fit(  # noqa: PLR0913, PLR0917 - an option each
    study: Study,
    out: Out,
    config: ConfigFile = None,
    system: System = None,
    model: Model = None,
    uncut: Uncut = False,
    changes: Changes = None,
    seed: Seed = None,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Train one classifier on all films of a study but its external ones; a tenth of the patients validate."""
    from lunglens.study.config import load_config
    from lunglens.study.folder import load_study

    settings = load_config(_one_of(config, system), _changes(model, uncut, changes), seed).classifier
    films = load_study(study)
    from lunglens.train.fit import fit_classifier  # takes seconds, so last

    metrics = fit_classifier(films, settings, out, _runner(1, ray, gpus_per_job), console())
    _say(metrics, "validation: ", out)


@app.command()
def export(
    run: Run,
    out: Annotated[Path, typer.Option("--out", help="Folder for the package.")],
    fold: Annotated[str | None, typer.Option(help="Of a cross-validation: the model of this fold.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Of a cross-validation: the models of all folds as one.")
    ] = False,
) -> None:
    """Make a package of a run: what analyze, predict, serve and node answer with, and its card."""
    from lunglens.train.package_of_run import export_run

    export_run(run, out, fold=fold, ensemble=ensemble)
    typer.echo(f"analyze films with --classifier {readable(out)}; its card is {readable(out / 'README.md')}")


@app.command()
def measure(
    package: Package,
    study: Study,
    out: Annotated[Path, typer.Option("--out", help="Folder for predictions.csv and metrics.json.")],
    boxes: RsnaBoxes = None,
) -> None:
    """What a package answers on every film of a study that it was not trained on, and how good that is by source."""
    from lunglens.film.model_package.package import load_package
    from lunglens.study.folder import load_study
    from lunglens.train.measure import measure_package

    metrics = measure_package(load_package(package, "classification"), load_study(study), out, console(), boxes)
    everything = metrics["external"]["all"]
    for films, alarms in metrics.get("at_threshold", {}).get("false_alarms", {}).items():
        typer.echo(f"{films}: {alarms['called']} false alarms in {alarms['n']} films")
    typer.echo(f"AUROC {everything['auroc']} over {everything['n']} films; see {readable(out)}")


@train_app.command("lungs")
def train_lungs(data: Data, out: Out, config: ConfigFile = None, changes: Changes = None, seed: Seed = None) -> None:
    """Train the lung UNet on the configuration's data sets, measure it on held-out patients, export it."""
    from lunglens.study.config import load_config

    settings = load_config(config, changes or (), seed).lungs
    from lunglens.train.lungs.held_out import fit_lungs  # takes seconds, so last

    fit_lungs(data, settings, out, console())


@train_app.command("gate")
def train_gate(
    data: Data, lungs: Annotated[Path, typer.Option(help="Lungs package to fit for; it is updated.")]
) -> None:
    """Learn the gate for a lungs package: frontal chest film or not, polarity."""
    from lunglens.train.gate.run import learn_gate

    learn_gate(data, lungs, console())


@train_app.command("orientation")
def train_orientation(
    data: Data,
    out: Out,
    without: Annotated[str, typer.Option(help="Source left out for the rate on a hospital not seen.")] = "hannover",
) -> None:
    """Learn which way round a film lies: turned by 90, 180 or 270 degrees, mirrored."""
    from lunglens.train.gate.orientation import learn_orientation

    learn_orientation(data, out, without, console())


@train_app.command("severity")
def train_severity(
    data: Data,
    run: Annotated[Path, typer.Option(help="Finished run of crossval severity: its errors are the package's.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the package.")],
) -> None:
    """Learn the Brixia score from every scored film, and make the package that shows it."""
    from lunglens.train.severity.package import export_severity

    measured = export_severity(data, run, out, console())
    typer.echo(f"out of fold the sum's correlation was {measured['pearson']}; see {readable(out)}")


@evaluate_app.command("lungs")
def evaluate_lungs(
    data: Data,
    out: Out,
    source: Annotated[list[str], typer.Option(help="Data set with lung masks; give it once for each.")],
    lungs: Lungs = None,
) -> None:
    """Hold predicted lungs against the masks of data sets, each by its rule: lung fields, or the whole lung."""
    from lunglens.film.model_package.package import load_package, shipped_models
    from lunglens.train.lungs.measure import measure_lungs

    package = load_package(lungs or shipped_models() / "lungs")
    console().print_json(data=measure_lungs(data, package, source, out, console()))


@evaluate_app.command("gate")
def evaluate_gate(
    data: Data,
    out: Out,
    lungs: Lungs = None,
    per_source: Annotated[int | None, typer.Option(help="Frontal films of each source; all if not given.")] = None,
) -> None:
    """Run the whole gate over the films of the data: share refused by kind and source, with reasons."""
    from lunglens.film.model_package.package import shipped_models
    from lunglens.train.gate.run import measure_gate

    measure_gate(data, lungs or shipped_models() / "lungs", out, per_source, console())


@evaluate_app.command("severity")
def evaluate_severity(
    data: Data, out: Out, per_source: Annotated[int, typer.Option(help="Films of each label of a source.")] = 50
) -> None:
    """Score films of collections that were not learned from: normals should get little."""
    from lunglens.train.severity.elsewhere import measure_elsewhere

    console().print_json(data=measure_elsewhere(data, out, per_source, console())["sums"])


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
    from lunglens.train.gate.orientation_whole import measure_orientation

    measure_orientation(data, folders or [], out, per_source, console())


@crossval_app.command("lungs")
def lungs(  # noqa: PLR0913, PLR0917 - an option each
    data: Data,
    out: Out,
    config: ConfigFile = None,
    folds: Annotated[int, typer.Option(min=2, help="How many.")] = 10,
    by: Annotated[
        Literal["patient", "source"], typer.Option(help="Folds of patients, or site against site.")
    ] = "patient",
    changes: Changes = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Algorithm 1: out-of-fold lung masks, Dice, IoU, HD95 and surface distance of every film."""
    from lunglens.study.config import load_config
    from lunglens.study.folds import FoldSettings

    settings = load_config(config, changes or (), seed).lungs
    folding = FoldSettings(by, folds, seed=settings.split.seed)
    from lunglens.train.crossval.lungs import crossval_lungs  # takes seconds, so last

    metrics = crossval_lungs(data, settings, folding, out, _runner(jobs, ray, gpus_per_job), console())
    for rule, found in metrics.by_rule.items():
        dice = found["all"].dice
        low, high = dice.mean_95_ci or ("-", "-")
        typer.echo(f"{rule}: Dice {dice.mean} ({low} to {high}) over {dice.n} films; see {readable(out)}")


@crossval_app.command("classifier")
def classifier(  # noqa: PLR0913, PLR0917 - an option each
    study: Study,
    out: Out,
    config: ConfigFile = None,
    system: System = None,
    model: Model = None,
    uncut: Uncut = False,
    test: Annotated[
        Path | None, typer.Option(help="A study that was curated --apart-from this one: test every model on it too.")
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="Train this fold alone, as one task of a cluster; the last one sums up.")
    ] = None,
    changes: Changes = None,
    seed: Seed = None,
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Algorithm 2: every film of a study predicted once by a classifier that has not seen its patient."""
    from lunglens.study.config import load_config
    from lunglens.study.folder import load_study

    settings = load_config(_one_of(config, system), _changes(model, uncut, changes), seed).classifier
    unseen = None if test is None else load_study(test)
    films = load_study(study)
    from lunglens.train.crossval.classifier import crossval_classifier  # takes seconds, so last

    metrics = crossval_classifier(films, settings, out, _runner(jobs, ray, gpus_per_job), console(), unseen, fold)
    if metrics is None:
        typer.echo(f"fold {fold} is done, others are not; see {readable(out)}")
    else:
        _say(metrics, "", out)


@app.command()
def sweep(
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML of systems and studies, or 'table1', which ships.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs and their table; run again to go on.")],
    show: Annotated[
        bool, typer.Option("--print", help="Only print a shell line a fold, for the task array of a cluster.")
    ] = False,
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Many classifiers on many studies, each with every input and seed: all folds of all runs in one queue."""
    from lunglens.study.config.sweep import read_sweep
    from lunglens.train.sweep.run import commands, run_sweep

    wanted = read_sweep(file)
    if show:
        for line in commands(wanted, out):
            typer.echo(line)
        return
    said = run_sweep(wanted, out, _runner(jobs, ray, gpus_per_job), console())
    typer.echo(f"{said}; see {readable(out / 'systems.html')}")


@crossval_app.command("severity")
def severity(  # noqa: PLR0913, PLR0917 - an option each
    data: Data,
    out: Out,
    system: Annotated[
        Literal["zones", "bsnet"], typer.Option(help="ImageNet features of the six zones, or system 2's network.")
    ] = "zones",
    folds: Annotated[int, typer.Option(min=2, help="How many.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="How often the folds are drawn anew.")] = 1,
    epochs: Annotated[int, typer.Option(min=1, help="Of bsnet.")] = 12,
    seed: Annotated[int, typer.Option(help="Of the first folds.")] = 0,
    jobs: Jobs = 1,
) -> None:
    """Brixia score: out-of-fold zone scores of every scored film, beside how well two radiologists agree."""
    from lunglens.train.severity.bsnet_fold import BsnetSettings
    from lunglens.train.severity.crossval import SeveritySettings, crossval_severity

    settings = SeveritySettings(system, folds, repeats, seed, BsnetSettings(epochs=epochs))
    metrics = crossval_severity(data, settings, out, _runner(jobs, None, 1), console())
    ours, readers = metrics["consensus"], metrics["readers"]
    typer.echo(
        f"sum of the zones: correlation {ours['pearson']} with two radiologists' mean (they with one another "
        f"{readers['pearson']}), zone error {ours['zone_mae']} ({readers['zone_mae']}); see {readable(out)}"
    )


@app.command()
def explain(
    study: Study,
    uncut: Annotated[Path, typer.Option(help="Finished run trained on whole films (crossval classifier --uncut).")],
    cut: Annotated[Path, typer.Option(help="Finished run trained on films cut to the lungs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for numbers and figures.")],
    cases: Annotated[int, typer.Option(min=1, help="Films of each class in the picture, drawn at random.")] = 3,
    brixia: Annotated[
        Path | None, typer.Option(help="Public Brixia annotations: do the maps point at the radiologists' zones?")
    ] = None,
    boxes: RsnaBoxes = None,
) -> None:
    """Figures 9 and 12: out-of-fold heat-maps with and without cutting, and how much of the heat is in the lungs."""
    from lunglens.study.folder import load_study
    from lunglens.train.crossval.compare_heatmaps import ExplainSettings
    from lunglens.train.crossval.compare_heatmaps import explain as explain_runs

    found = explain_runs(load_study(study), uncut, cut, out, ExplainSettings(cases, brixia, boxes), console())
    for side, words in (("uncut", "whole films"), ("cut", "cut films")):
        heat, area = found["all"][side]["heat_share"], found["all"][side]["area_share"]
        typer.echo(f"trained on {words}: {heat} of the heat in the lungs, which cover {area} of the film")
    typer.echo(f"see {readable(out)}")


@app.command()
def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Finished classifier run folders.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for tables and figures.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Show the paper's printed figures, recomputed.")] = False,
    systems: Annotated[
        Path | None, typer.Option(metavar="SWEEP", help="A folder of sweep instead of RUN...: every run in it.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="With --systems: hold all against this one, or a folder of measure; else against the first."),
    ] = None,
) -> None:
    """Table 7: models side by side on the same folds, with paired intervals and tests; table 1 with --systems."""
    from lunglens.evaluate.compare import compare as compare_runs
    from lunglens.evaluate.figures.comparison import markdown, write_comparison
    from lunglens.evaluate.printed_tables_report import paper_report
    from lunglens.study.report.systems.page import write_systems_report

    if not paper and not ((runs or systems) and out):
        raise typer.BadParameter("give run folders or --systems, and --out; or --paper")
    if paper:
        typer.echo(paper_report())
    if systems and out:
        typer.echo(f"{write_systems_report(systems, out, against)}; see {readable(out / 'systems.html')}")
    if runs and out:
        comparison = compare_runs(runs)
        write_comparison(comparison, out)
        typer.echo(markdown(comparison))


def _one_of(config: str | None, system: str | None) -> str | None:
    """The configuration that `--config` or `--system` names."""
    from lunglens.study.config import shipped_systems

    if system is None:
        return config
    if config is not None:
        raise typer.BadParameter("--config and --system are two configurations; give one, and change it with --set")
    if system not in shipped_systems():
        raise typer.BadParameter(f"{system!r} is none of {', '.join(shipped_systems())}")
    return system


def _changes(model: str | None, uncut: bool, changes: list[str] | None) -> list[str]:
    """`--model` and `--uncut` are short for two of the changes that `--set` can make."""
    short = [f"classifier.backbone={model}"] if model else []
    return [*short, *(["classifier.view.cut=false"] if uncut else []), *(changes or [])]


def _say(metrics: "ClassifierMetrics", what: str, out: Path) -> None:
    never_seen = f", never seen: AUROC {metrics.external['all'].auroc}" if metrics.external else ""
    if metrics.pooled is not None:
        what += f"AUROC {metrics.pooled.auroc}, accuracy {metrics.pooled.accuracy}"
    typer.echo(f"{what}{never_seen}; see {readable(out)}")


def _runner(jobs: int, ray: str | None, gpus_per_job: float) -> "Runner":
    from lunglens.jobs import Job, JobResult, run_jobs, run_jobs_on_ray

    def run(work: "Sequence[Job]", display: "Console") -> list[JobResult]:
        if ray is not None:
            return run_jobs_on_ray(work, ray, gpus_per_job, display)
        return run_jobs(work, jobs, display)

    return run
