"""The command line's verbs for judging data and what was trained on them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lunglens.cli.options import Data, Gpus, Jobs, Lungs, Out, Ray, Study, Verbs, console, runner
from lunglens.film.about import MARGIN
from lunglens.text import readable

app = typer.Typer()
evaluate_app = typer.Typer(
    help="Measure packaged models on data (needs the extra 'train').", no_args_is_help=True, cls=Verbs
)
app.add_typer(evaluate_app, name="evaluate")

Package = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A classifier package.")]
RsnaBoxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes", metavar="TABLE", help="RSNA's boxes round opacities of NIH's films: do the maps point at them?"
    ),
]

Brixia = Annotated[
    Path | None, typer.Option(help="Public Brixia annotations: do the maps point at the radiologists' zones?")
]


@app.command()
def report(  # noqa: PLR0913, PLR0917 - an option each
    study: Study,
    run: Annotated[list[Path] | None, typer.Option(help="Finished crossval classifier run on the study.")] = None,
    control: Annotated[list[Path] | None, typer.Option(help="The same on a study without its confounding.")] = None,
    lungs: Annotated[list[Path] | None, typer.Option(help="Finished crossval lungs run.")] = None,
    compared: Annotated[Path | None, typer.Option(help="What lunglens compare has written.")] = None,
    heat: Annotated[Path | None, typer.Option(help="What lunglens explain has written.")] = None,
    audit: Annotated[Path | None, typer.Option(help="What lunglens audit has written of the first run.")] = None,
    sheets: Annotated[
        bool, typer.Option("--sheets", help="Also CLAIM, TRIPOD+AI, STARD-AI and other checklists, of the first run.")
    ] = False,
) -> None:
    """Describe a study's data and, with runs, its results: pages and JSON, with how far a score can be trusted."""
    from lunglens.study.report import write_study_report
    from lunglens.study.report.results import Inputs, write_results_report

    inputs = Inputs(tuple(run or ()), tuple(control or ()), tuple(lungs or ()), compared, heat)
    page = write_study_report(study) if inputs == Inputs() else write_results_report(study, inputs)
    if sheets:
        from lunglens.study.report.sheets import write_sheets

        typer.echo(f"see {readable(write_sheets(study, audit))}")
    typer.echo(f"see {readable(page)}")


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


@app.command()
def audit(  # noqa: PLR0913, PLR0917 - an option each
    study: Study,
    run: Annotated[Path, typer.Option(help="Finished crossval classifier run on the study.")],
    out: Out,
    brixia: Brixia = None,
    boxes: RsnaBoxes = None,
    fail_on: Annotated[
        Literal["doubt", "shortcut"] | None, typer.Option(help="Exit code 1 where a test finds this, or worse.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples, random weights and intervals.")] = 0,
    jobs: Jobs = 1,
    ray: Ray = None,
    gpus_per_job: Gpus = 1,
) -> None:
    """Twelve tests: can the classes be told without the lungs, and does this classifier do so?"""
    from lunglens.evaluate.audit.record import VERDICTS
    from lunglens.study.folder import load_study
    from lunglens.study.report.audit.page import write_audit_page
    from lunglens.train.audit.films import Annotations
    from lunglens.train.audit.run import audit_run

    tables = Annotations(brixia, boxes)
    found = audit_run(load_study(study), run, out, tables, runner(jobs, ray, gpus_per_job), console(), seed)
    for test in found.tests:
        typer.echo(f"{test.test} {test.name}: {test.verdict}. {test.sentence}")
    typer.echo(f"see {readable(write_audit_page(out))}")
    if fail_on is not None and VERDICTS.index(found.worst()) >= VERDICTS.index(fail_on):
        raise typer.Exit(1)


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
    data: Data,
    out: Out,
    per_source: Annotated[int, typer.Option(help="Films of each label of a source.")] = 50,
    boxes: RsnaBoxes = None,
) -> None:
    """Score films of collections that were not learned from: normals should get little, opacities should be found."""
    from lunglens.train.severity.elsewhere import measure_elsewhere

    console().print_json(data=measure_elsewhere(data, out, per_source, console(), boxes)["sums"])


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


@app.command()
def explain(
    study: Study,
    uncut: Annotated[Path, typer.Option(help="Finished run trained on whole films (crossval classifier --uncut).")],
    cut: Annotated[Path, typer.Option(help="Finished run trained on films cut to the lungs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for numbers and figures.")],
    cases: Annotated[int, typer.Option(min=1, help="Films of each class in the picture, drawn at random.")] = 3,
    brixia: Brixia = None,
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
    margin: Annotated[
        float, typer.Option(min=0, max=0.5, help="Of AUROC: who is worse by less is not inferior.")
    ] = MARGIN,
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
        comparison = compare_runs(runs, margin=margin)
        write_comparison(comparison, out)
        typer.echo(markdown(comparison))
