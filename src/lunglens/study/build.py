"""`lunglens curate`: data sets on disk -> a study folder, whole or not at all, the same byte for byte every time.

The folder (`lunglens.study.folder`, `docs/reference.md`) is built as `<out>.partial` and renamed when everything is in.
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError, OutputError
from lunglens.files import only_one, read_record, save_csv, write_json, write_record, writing
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.model_package.session import runtime
from lunglens.study.config.study import StudyConfig, without_sources
from lunglens.study.criteria import BY_METADATA, Context, Judge, Verdict, assign_classes, exclusions_of, misspelt
from lunglens.study.criteria_of_pixels import by_apart, by_copies, by_lungs
from lunglens.study.flow import Flow, empty_classes
from lunglens.study.folder import (
    AGAIN,
    COLUMNS,
    DESCRIPTORS,
    FORMAT,
    Begun,
    Step,
    Study,
    StudyRecord,
    below,
    fingerprint,
)
from lunglens.study.manifest import manifest
from lunglens.study.opacity import COLUMN as OPACITY
from lunglens.study.opacity import opacity_column
from lunglens.study.prepare import JOURNAL, write_cut
from lunglens.study.rows import FIELDS
from lunglens.study.sources import SOURCES, Problems, read_sources
from lunglens.study.sources.own import own_readers
from lunglens.study.sources.rsna_readings import relabelled

JUDGES: dict[str, Judge] = BY_METADATA | {"duplicates": by_copies, "lungs": by_lungs}
SCRATCH = (JOURNAL, "begun.json", DESCRIPTORS)
WHOLE = ["width_px", "height_px", "bits", "border_px", "lung_px", "original_width_px", "original_height_px"]


@dataclass(frozen=True)
class Order:
    """What is to be built.

    data: folder with a folder a data set. config_folder: where exclusion lists lie. without: sources to leave out.
    apart_from: studies whose films and patients are left out last of all, so that this one can test their models.
    """

    data: Path
    config: StudyConfig
    config_folder: Path
    lungs: ModelPackage
    without: tuple[str, ...] = ()
    apart_from: Sequence[Study] = ()


def curate(order: Order, out: Path, console: Console) -> StudyRecord:
    """Build a study in the folder `out`; a killed run goes on.

    A source that is not here is left out where every class keeps another one; the study says so, and so does the
    console.

    Returns:
        the content of `study.json`.

    Raises:
        DataError: a data set is missing or not in its published layout, or a class has no film left.
        ConfigurationError: an exclusion list is missing or broken, or a class would be left without a source.
        OutputError: the folder holds another study, is in use, or cannot be written.
    """
    order = _with_what_is_here(replace(order, data=order.data.resolve()), console)
    exclusions = exclusions_of(order.config, order.config_folder)
    begun = Begun(
        format=FORMAT,
        config=order.config,
        exclusions=exclusions,
        lungs=(order.lungs.name, order.lungs.description["checksums"]),
        without=order.without,
        apart_from=tuple(study.fingerprint for study in order.apart_from),
    )
    partial = out.with_name(out.name + ".partial")
    with only_one(out.with_name(f".{out.name}.lock"), out, "curate"), writing(out):
        if (out / "study.json").exists():
            return _finished(out, begun)
        if out.exists() and any(out.iterdir()):
            raise OutputError(f"{out}: holds something that is no study; choose another --out")
        flow = _read(order, console)
        _begin(partial, begun)
        context = Context(order.config.seed, exclusions, partial, order.data, order.lungs, console)
        _judge(flow, order, context)
        study = _finish(flow, begun, context)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    return study


def _with_what_is_here(order: Order, console: Console) -> Order:
    """The order without the sources that were to be left out, and without those of which there is no folder."""
    own = {source.name for source in order.config.own}
    names = [name for name in order.config.source_names if name not in order.without]
    absent = [name for name in names if not (order.data / name).is_dir()]
    public = [name for name in absent if name in SOURCES and name not in own]
    if len(absent) > len(public) or len(absent) == len(names):
        raise DataError(f"{order.data}: no folder {', '.join(absent)}; get them (lunglens sources), or correct --data")
    without = (*order.without, *public)
    config = without_sources(order.config, without) if without else order.config
    for name in public:
        text = f"WITHOUT {name}: {order.data / name} is not here, so the study is made of the other sources"
        console.print(text, style="bold yellow", markup=False, highlight=False)
    return replace(order, config=config, without=without)


def _finished(out: Path, begun: Begun) -> StudyRecord:
    if not read_record(out / "config.json", Begun, AGAIN).same(begun):
        raise OutputError(f"{out}: holds a study of another configuration or lungs model; choose another --out")
    return read_record(out / "study.json", StudyRecord, AGAIN)


def _begin(partial: Path, begun: Begun) -> None:
    mark = partial / "begun.json"
    if mark.exists() and read_record(mark, Begun, AGAIN) != begun:
        raise OutputError(f"{partial}: was begun with another configuration or lungs model; delete it to start anew")
    for name in ("films", "masks", "images"):
        (partial / name).mkdir(parents=True, exist_ok=True)
    write_record(mark, begun)


def _read(order: Order, console: Console) -> Flow:
    config, problems = order.config, Problems()
    rows = read_sources(order.data, tuple(config.source_names), problems, own_readers(config.own))
    table = manifest(map(relabelled, rows) if config.radiologists else rows)
    table["image"] = table["path"].map(lambda path: Path(path).relative_to(order.data).as_posix())
    table["image_id"] = [_image_id(*names) for names in zip(table["source"], table["image"], strict=True)]
    table["class"] = assign_classes(table, config.classes)
    table[OPACITY] = opacity_column(table)
    for line in misspelt(table, config.classes):
        console.print(f"warning: {line}", style="yellow", markup=False, highlight=False)
    return Flow(table.sort_values("image", ignore_index=True), config, problems)


def _judge(flow: Flow, order: Order, context: Context) -> None:
    """Put the films to one criterion after the other."""
    read = Verdict(pd.Series("", index=flow.films.index), f"read from {len(order.config.source_names)} sources")
    _say(flow, flow.apply("read", read), context.console)
    for criterion in order.config.steps:
        films = flow.left[flow.left["source"].isin(criterion.sources)] if criterion.sources else flow.left
        verdict = JUDGES[criterion.kind](films, criterion, context)
        _say(flow, flow.apply(criterion.kind, verdict, criterion.sources), context.console)
        if empty := empty_classes(flow):
            raise DataError(empty)
    if order.apart_from:
        # Films that went on the way tie too: a copy of a trained film, and another film of its patient.
        verdict = by_apart(flow.tying, order.apart_from, context.folder / DESCRIPTORS, context.console)
        _say(flow, flow.apply("apart", verdict), context.console)
        if empty := empty_classes(flow):
            raise DataError(empty)
    flow.films = flow.films.drop(columns="ties")


def _say(flow: Flow, step: Step, console: Console) -> None:
    line = f"{step.step}: {len(flow.left)} left, {step.dropped} dropped ({step.words})"
    console.print(line, markup=False, highlight=False)


def _finish(flow: Flow, begun: Begun, context: Context) -> StudyRecord:
    """Write the tables and the cut images, remove what belongs to dropped films, and the scratch files."""
    folder, config = context.folder, begun.config
    table = flow.left[flow.left["class"] != ""].sort_values("image_id", ignore_index=True)
    table = table.assign(
        path=table["image"],
        film="films/" + table["image_id"] + ".png",
        mask="masks/" + table["image_id"] + ".png",
        cut="images/" + table["class"].map(_file_name) + "/" + table["image_id"] + ".png",
    )
    _cut(table, context)
    own = [name for name in table if name not in {*COLUMNS, *FIELDS, OPACITY, "image", "step", "reason"}]
    save_csv(table[[*COLUMNS, "label", OPACITY, *own]].astype(dict.fromkeys(WHOLE, "Int64")), folder / "manifest.csv")
    for name, content in (flow.tables | _other_tables(flow, context.data)).items():
        save_csv(content, folder / name)
    write_json(folder / "counts.json", [step.model_dump() for step in flow.steps])
    write_record(folder / "config.json", begun)
    for name in SCRATCH:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    study = StudyRecord(
        format=FORMAT,
        name=config.name,
        classes=tuple(config.class_names),
        fingerprint=fingerprint(folder, table),
        data_root=str(context.data),
        lungs_model=context.lungs.name,
        postprocess=context.lungs.parameters.postprocess,
        without=begun.without,
        apart_from=begun.apart_from,
        seed=config.seed,
        versions={name: version(name) for name in ("lunglens", "numpy", "pillow", "scipy")}
        | {"onnxruntime": runtime().__version__},
    )
    write_record(folder / "study.json", study)
    return study


def _cut(table: pd.DataFrame, context: Context) -> None:
    kept = set(table["image_id"])
    for path in [*(context.folder / "films").iterdir(), *(context.folder / "masks").iterdir()]:
        if path.stem not in kept:
            path.unlink()
    pairs = list(zip(table["image_id"], table["cut"], strict=True))
    for image_id, cut in track(pairs, "cutting", console=context.console):
        if not (context.folder / cut).exists():
            write_cut(context.folder, image_id, context.folder / cut)


def _other_tables(flow: Flow, data: Path) -> dict[str, pd.DataFrame]:
    """What was read by diagnosis, what was dropped and why, what could not be taken as published."""
    stated = flow.films.fillna({"diagnosis": "", "modality": "", "view": ""})
    diagnoses = stated.groupby(["source", "diagnosis", "modality", "view"], sort=True).size().rename("n").reset_index()
    problems = pd.DataFrame([asdict(p) for p in flow.problems], columns=["file", "row", "column", "message"])
    problems["file"] = problems["file"].map(lambda name: below(name, data))
    problems = problems.astype({"row": "Int64"})
    return {"diagnoses.csv": diagnoses, "dropped.csv": flow.dropped, "problems.csv": problems}


def _image_id(source: str, image: str) -> str:
    """Source, file name and eight digits of the path's hash: readable, and unique where file names repeat."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:8]
    return f"{source}-{_file_name(Path(image).stem)[:60]}-{digest}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)
