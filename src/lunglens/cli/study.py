"""The command line's verbs for data: sources, get, curate, duplicates, folds, review."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lunglens.cli.options import AsJson, Changes, Data, Lungs, Seed, Study, answer, console
from lunglens.text import readable

app = typer.Typer()


@app.command()
def sources(
    name: Annotated[str | None, typer.Argument(help="One data set; all if not given.")] = None, as_json: AsJson = False
) -> None:
    """List the public data sets that can be read: licence, size, where to get them, what each is known to hide."""
    from dataclasses import asdict

    from lunglens.study.sources import SOURCES

    if name is not None and name not in SOURCES:
        raise typer.BadParameter(f"{name} is not one of {', '.join(SOURCES)}")
    found = [asdict(source) for source in ([SOURCES[name]] if name else SOURCES.values())]
    lines = []
    for source in found:
        del source["read"]
        lines.append(f"{source['name']}: {source['title']}")
        words = {key: source[key] for key in ("licence", "size")} | {"get": f"{source['access']} ({source['url']})"}
        words |= {"cite": source["citation"], "hides": source["hides"]}
        lines.append("".join(f"  {key + ':':9}{text}\n" for key, text in words.items()))
    answer(lines, found, as_json)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A data set that `lunglens sources` lists.")],
    to: Annotated[Path, typer.Option("--to", help="Folder that holds the data sets.")],
) -> None:
    """Download a data set where its publisher allows it; run again to go on after an interruption."""
    from lunglens.study.sources import SOURCES
    from lunglens.study.sources.download import get as download

    if name not in SOURCES:
        raise typer.BadParameter(f"{name} is not one of {', '.join(SOURCES)}")
    typer.echo(f"{name} is in {download(SOURCES[name], to, console())}")


@app.command()
def curate(  # noqa: PLR0913, PLR0917 - an option each
    out: Annotated[Path, typer.Option("--out", help="Study folder to make; run again to go on.")],
    data: Annotated[
        Path | None, typer.Option(envvar="LUNGLENS_DATA", help="Folder that holds the data sets, for --config.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="TOML file with a [study], such as those of `lunglens config list`: paper."),
    ] = None,
    own: Annotated[
        Path | None, typer.Option(help="Or: a folder of your own films, in a folder a class, DICOM, or with a table.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="Leave out a source.")] = None,
    apart_from: Annotated[
        list[Path] | None, typer.Option(help="A study whose films and patients are left out, to test its models here.")
    ] = None,
    lungs: Lungs = None,
    changes: Changes = None,
    seed: Seed = None,
) -> None:
    """Build a study: read the data sets, apply the criteria one after the other, segment, cut, count."""
    from lunglens.errors import ConfigurationError
    from lunglens.film.model_package.package import load_package, shipped_models
    from lunglens.study.build import Order
    from lunglens.study.build import curate as build
    from lunglens.study.config import config_path, load_config
    from lunglens.study.folder import load_study
    from lunglens.study.own_study import study_of_folder

    if own is not None and config is None and not changes and seed is None:
        place, data = own.resolve(), own.resolve().parent
        study = study_of_folder(place)
    elif config is not None and data is not None and own is None:
        named = load_config(config, changes or (), seed).study
        if named is None:
            raise ConfigurationError(f"{config}: has no [study]; see lunglens config show paper")
        study, place = named, config_path(config).parent
    else:
        raise typer.BadParameter("give --data and --config (with --set and --seed), or --own")
    package = load_package(lungs or shipped_models() / "lungs")
    others = [load_study(folder) for folder in apart_from or ()]
    record = build(Order(data, study, place, package, tuple(without or ()), others), out, console())
    typer.echo(f"{readable(out)}: study {record.name}, fingerprint {record.fingerprint[:16]}")


@app.command()
def duplicates(
    data: Data, out: Annotated[Path, typer.Option("--out", help="Folder for the pairs and their pictures.")]
) -> None:
    """Find copies of films, and films of one patient or case, across all data sets in a folder."""
    from lunglens.study.duplicates import find_duplicates, write_report
    from lunglens.study.manifest import manifest
    from lunglens.study.sources import Problems, read_sources

    problems: Problems = []
    table = manifest(read_sources(data.resolve(), problems=problems))
    pairs = find_duplicates(table, out / "descriptors", console(), problems)
    page = write_report(pairs, out)
    for problem in problems:
        typer.echo(readable(problem), err=True)
    counts = ", ".join(f"{n} {kind}" for kind, n in pairs["kind"].value_counts().items()) or "no"
    typer.echo(f"{len(table)} films: {counts} pairs; see {readable(page)}")
    raise typer.Exit(1 if any(problem.row is None and problem.column is None for problem in problems) else 0)


@app.command()
def folds(
    study: Study,
    number: Annotated[int, typer.Option("--folds", min=2, help="How many.")] = 10,
    by: Annotated[
        Literal["patient", "source"], typer.Option(help="Hold out patients, or source after source.")
    ] = "patient",
    external: Annotated[list[str] | None, typer.Option(help="A source to test on only.")] = None,
    missing_patient: Annotated[
        Literal["refuse", "leave-out", "one-film-one-patient"], typer.Option(help="Films whose patient is unknown.")
    ] = "refuse",
    seed: int = 0,
    as_json: AsJson = False,
) -> None:
    """Divide a study into folds, never a patient on both sides, and say what a split by image would leak."""
    from lunglens.study.folder import load_study
    from lunglens.study.folds import FoldSettings, write_folds

    settings = FoldSettings(
        by=by, folds=number, external=tuple(external or ()), missing_patient=missing_patient, seed=seed
    )
    counts, leaks = write_folds(load_study(study), settings)
    sentence = (
        f"Split by image instead, {leaks.leaking} of {leaks.patients} patients with several films would be on both "
        f"sides, and {leaks.tested_films_with_patient_in_training} of {leaks.films} films be tested by a model that "
        "has seen their patient."
    )
    content = {"folds": counts.to_dict("index"), "split_by_image": leaks.model_dump()}
    answer([counts.to_string(), sentence], content, as_json)


@app.command()
def review(study: Study) -> None:
    """Write a page on which a person strikes films out by keyboard and saves exclude.csv."""
    from lunglens.study.report.review import write_review

    typer.echo(
        f"open {readable(write_review(study))} in a browser, save exclude.csv beside the configuration (one that ships "
        "copy first: lunglens config copy) or, after --own, in the folder; curate again"
    )
