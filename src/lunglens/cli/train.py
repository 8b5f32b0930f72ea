"""The command line's verbs for training: once, in folds, many systems one after the other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lunglens.cli.options import Changes, ConfigFile, Data, Gpus, Jobs, Ray, Seed, Study, Verbs, console, runner
from lunglens.text import readable

if TYPE_CHECKING:
    from lunglens.evaluate.run_record import ClassifierMetrics

app = typer.Typer()
crossval_app = typer.Typer(help="Cross-validate (needs the extra 'train').", no_args_is_help=True, cls=Verbs)
train_app = typer.Typer(
    help="Train what every film goes through (needs the extra 'train').", no_args_is_help=True, cls=Verbs
)
app.add_typer(crossval_app, name="crossval")
app.add_typer(train_app, name="train")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Finished run folder of fit or of crossval classifier.")]
Out = Annotated[Path, typer.Option("--out", help="Run folder; run again to go on.")]
Model = Annotated[str | None, typer.Option(help="Any timm name instead of the configuration's.")]
System = Annotated[
    str | None, typer.Option(help="One of the earlier systems that `lunglens systems` lists, instead of --config.")
]
Uncut = Annotated[bool, typer.Option("--uncut", help="Show the whole film instead of the lungs.")]


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

    metrics = fit_classifier(films, settings, out, runner(1, ray, gpus_per_job), console())
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
def average(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Finished runs of one network on the same folds and seed.")
    ],
    out: Out,
    jobs: Jobs = 1,
) -> None:
    """One run of several: each fold's network has the mean of their weights, in the time of one."""
    from lunglens.train.crossval.average import average_runs

    _say(average_runs(runs, out, runner(jobs, None, 1), console()), "", out)


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

    metrics = crossval_lungs(data, settings, folding, out, runner(jobs, ray, gpus_per_job), console())
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

    metrics = crossval_classifier(films, settings, out, runner(jobs, ray, gpus_per_job), console(), unseen, fold)
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
    said = run_sweep(wanted, out, runner(jobs, ray, gpus_per_job), console())
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
    metrics = crossval_severity(data, settings, out, runner(jobs, None, 1), console())
    ours, readers = metrics["consensus"], metrics["readers"]
    typer.echo(
        f"sum of the zones: correlation {ours['pearson']} with two radiologists' mean (they with one another "
        f"{readers['pearson']}), zone error {ours['zone_mae']} ({readers['zone_mae']}); see {readable(out)}"
    )


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
