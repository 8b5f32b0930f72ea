"""`lunglens curate`: data sets on disk -> a study folder, whole or not at all, the same byte for byte every time.

The folder (format 1, `docs/reference.md`) is built as `<out>.partial` and renamed when everything is in it.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

from lunglens.errors import DataError, OutputError
from lunglens.files import only_one, save_csv, write_json, writing
from lunglens.film.model_package.package import ModelPackage
from lunglens.film.parameters import Postprocess
from lunglens.study.config.study import Criterion, DuplicatesCriterion, LungsCriterion, StudyConfig
from lunglens.study.criteria import JUDGES, Context, Verdict, assign_classes, exclusions_of
from lunglens.study.criterion_duplicates import by_copies
from lunglens.study.folder import COLUMNS, FORMAT, MEASURED, Study, fingerprint
from lunglens.study.leave_out_known import by_apart
from lunglens.study.manifest import manifest
from lunglens.study.prepare import JOURNAL, prepare_films, write_cut
from lunglens.study.sources import Problem, Problems, read_sources
from lunglens.study.sources.own import own_reader

SCRATCH = (JOURNAL, "begun.json", "descriptors")


@dataclass
class _Flow:
    """The films on their way through the criteria: who is left, who went why, and the count of every step."""

    data: Path
    folder: Path
    config: StudyConfig
    lungs: ModelPackage
    exclusions: dict[str, str]
    console: Console
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    considered: pd.DataFrame = field(default_factory=pd.DataFrame)  # the films before copies and small lungs went
    dropped: list[pd.DataFrame] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    problems: Problems = field(default_factory=list)


def curate(
    data: Path,
    config: StudyConfig,
    beside: Path,
    out: Path,
    lungs: ModelPackage,
    console: Console,
    apart_from: Sequence[Study] = (),
) -> dict[str, Any]:
    """Build the study that `config` describes; a killed run goes on.

    Args:
        data: folder with a folder a data set.
        config: classes and criteria.
        beside: folder of the configuration file, where exclusion lists lie.
        out: the study folder to make.
        lungs: segments the films.
        console: for progress.
        apart_from: films that are in these studies, or of a patient of theirs, are left out last of all: so this study
            can test what was trained on them.

    Returns:
        the content of `study.json`.

    Raises:
        DataError: a data set is missing or not in its published layout, or no film is left.
        ConfigurationError: an exclusion list is missing or broken.
        OutputError: the folder holds another study, is in use, or cannot be written.
    """
    data = data.resolve()
    exclusions = exclusions_of(config, beside)
    begun = {
        "config": config.model_dump(mode="json"),
        "exclusions": exclusions,
        "lungs": [lungs.name, lungs.description["checksums"]],
    }
    if apart_from:
        begun["apart_from"] = [study.description["fingerprint"] for study in apart_from]
    partial = out.with_name(out.name + ".partial")
    with only_one(out.with_name(f".{out.name}.lock"), out, "curate"), writing(out):
        if (out / "study.json").exists():
            return _finished(out, begun)
        if out.exists() and any(out.iterdir()):
            raise OutputError(f"{out}: holds something that is no study; choose another --out")
        flow = _Flow(data, partial, config, lungs, exclusions, console)
        flow.table = flow.considered = _read(flow)
        _begin(partial, begun)
        _count_findings(flow)
        for criterion in config.criteria:
            _apply(flow, criterion)
            if criterion.kind == "finding":
                flow.considered = flow.table
        if not any(criterion.kind == "lungs" for criterion in config.criteria):
            _apply(flow, LungsCriterion(kind="lungs", min_area_px=0))
        if apart_from:
            # Films that went on the way tie too: a copy of a trained film, and another film of its patient.
            verdict = by_apart(flow.considered, apart_from, partial / "descriptors", console)
            _drop(flow, "apart", _of(verdict, flow.table.index), verdict.words)
        study = _finish(flow, begun)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    return study


def _finished(out: Path, begun: dict[str, Any]) -> dict[str, Any]:
    if json.loads((out / "config.json").read_text()) != begun:
        raise OutputError(f"{out}: holds a study of another configuration or lungs model; choose another --out")
    found: dict[str, Any] = json.loads((out / "study.json").read_text())
    return found


def _begin(partial: Path, begun: dict[str, Any]) -> None:
    mark = partial / "begun.json"
    if mark.exists() and json.loads(mark.read_text()) != begun:
        raise OutputError(f"{partial}: was begun with another configuration or lungs model; delete it to start anew")
    for name in ("films", "masks", "images"):
        (partial / name).mkdir(parents=True, exist_ok=True)
    write_json(mark, begun)


def _read(flow: _Flow) -> pd.DataFrame:
    absent = [name for name in flow.config.source_names if not (flow.data / name).is_dir()]
    if absent:
        how = " ".join(f"--without {name}" for name in absent)
        raise DataError(f"{flow.data}: no folder {', '.join(absent)}; get them (lunglens sources), or give {how}")
    own = {source.name: own_reader(source) for source in flow.config.own}
    table = manifest(read_sources(flow.data, tuple(flow.config.source_names), flow.problems, own))
    table["image"] = table["path"].map(lambda path: Path(path).relative_to(flow.data).as_posix())
    table["image_id"] = [_image_id(*names) for names in zip(table["source"], table["image"], strict=True)]
    table["class"] = assign_classes(table, flow.config.classes)
    return table.sort_values("image", ignore_index=True)


def _count_findings(flow: _Flow) -> None:
    found = flow.table.fillna({"finding": "", "modality": "", "view": ""})
    counted = found.groupby(["source", "finding", "modality", "view"], sort=True).size()
    save_csv(counted.rename("n").reset_index(), flow.folder / "findings.csv")
    _count(flow, "read", f"read from {len(flow.config.source_names)} sources", 0, 0)


def _apply(flow: _Flow, criterion: Criterion) -> None:
    """Put the films of the criterion's sources to it; drop what does not pass."""
    table = flow.table
    concerned = table[table["source"].isin(criterion.sources)] if criterion.sources else table
    verdict = _judge(flow, criterion, concerned)
    scope = f" ({', '.join(criterion.sources)})" if criterion.sources else ""
    _drop(flow, criterion.kind, verdict, verdict.words + scope)


def _drop(flow: _Flow, kind: str, verdict: Verdict, words: str) -> None:
    gone = verdict.reasons[verdict.reasons != ""]
    step = f"{len(flow.counts)} {kind}"
    rows = flow.table.loc[gone.index, ["image", "source", "class"]].rename(columns={"image": "path"})
    flow.dropped.append(rows.assign(step=step, reason=gone))
    flow.table = flow.table.drop(index=gone.index)
    _count(flow, kind, words, len(gone), int(verdict.unknown_kept.sum()))


def _of(verdict: Verdict, rows: pd.Index) -> Verdict:
    """The verdict on some of its films."""
    return Verdict(verdict.reasons.loc[rows], verdict.unknown_kept.loc[rows], verdict.words)


def _judge(flow: _Flow, criterion: Criterion, table: pd.DataFrame) -> Verdict:
    if isinstance(criterion, LungsCriterion):
        return _by_lungs(flow, criterion, table)
    if isinstance(criterion, DuplicatesCriterion):
        verdict, groups, pairs = by_copies(table, criterion, flow.folder / "descriptors", flow.console)
        flow.table.loc[groups.index, "group_id"] = groups
        flow.considered = flow.table
        sides = {side: pairs[side].map(lambda name: _below(name, flow.data)) for side in ("first", "second")}
        save_csv(pairs.assign(**sides), flow.folder / "duplicates.csv")
        return verdict
    return JUDGES[criterion.kind](table, criterion, Context(flow.config.seed, flow.exclusions))


def _by_lungs(flow: _Flow, criterion: LungsCriterion, table: pd.DataFrame) -> Verdict:
    """Read and segment every film; drop what cannot be read and where too little lung is found."""
    images = dict(zip(table["image_id"], table["path"].map(Path), strict=True))
    films = prepare_films(images, flow.folder, flow.lungs, Postprocess())
    shown = track(films, "segmenting", total=len(images), console=flow.console)
    found = pd.DataFrame([asdict(film) for film in shown], index=table.index)
    flow.table.loc[table.index, MEASURED] = found[MEASURED]
    flow.problems += [
        Problem(image, None, None, text)
        for image, text in zip(table["image"], found["error"], strict=True)
        if isinstance(text, str)
    ]
    unreadable = found["error"].notna()
    area = found["lung_px"].astype("Int64")
    reasons = pd.Series("", index=table.index, dtype=object)
    small = (area < criterion.min_area_px).fillna(False).astype(bool)
    reasons[small] = area[small].map(lambda pixels: f"lungs of {pixels} px")
    reasons[unreadable] = "cannot be read"
    words = f"readable, processed lung mask of at least {criterion.min_area_px:,} px at 512x512"
    return Verdict(reasons, pd.Series(False, index=table.index), words)


def _count(flow: _Flow, kind: str, words: str, dropped: int, unknown_kept: int) -> None:
    kept: dict[str, dict[str, int]] = {}
    for name in [*flow.config.class_names, ""]:
        sizes = flow.table.loc[flow.table["class"] == name, "source"].value_counts().sort_index()
        of_class = {str(source): int(n) for source, n in sizes.items()}
        if of_class or name:
            kept[name or "none of the classes"] = of_class
    step = f"{len(flow.counts)} {kind}"
    entry = {"step": step, "kind": kind, "words": words, "kept": kept, "dropped": dropped, "unknown_kept": unknown_kept}
    flow.counts.append(entry)
    flow.console.print(f"{step}: {len(flow.table)} left, {dropped} dropped ({words})", markup=False, highlight=False)


def _finish(flow: _Flow, begun: dict[str, Any]) -> dict[str, Any]:
    """Write the tables and the cut images, remove what belongs to dropped films, and the scratch files."""
    folder, table = flow.folder, flow.table[flow.table["class"] != ""].sort_values("image_id", ignore_index=True)
    if table.empty:
        raise DataError(f"{flow.data}: no film passes the criteria; counts: {[c['step'] for c in flow.counts]}")
    kept = set(table["image_id"])
    for path in [*(folder / "films").iterdir(), *(folder / "masks").iterdir()]:
        if path.stem not in kept:
            path.unlink()
    table = table.assign(
        path=table["image"],
        film="films/" + table["image_id"] + ".png",
        mask="masks/" + table["image_id"] + ".png",
        cut="images/" + table["class"].map(_file_name) + "/" + table["image_id"] + ".png",
    )
    pairs = list(zip(table["image_id"], table["cut"], strict=True))
    for image_id, cut in track(pairs, "cutting", console=flow.console):
        if not (folder / cut).exists():
            write_cut(folder, image_id, folder / cut)
    whole = ["width_px", "height_px", "bits", "border_px", "lung_px", "original_width_px", "original_height_px"]
    save_csv(table[COLUMNS].astype(dict.fromkeys(whole, "Int64")), folder / "manifest.csv")
    save_csv(pd.concat(flow.dropped).sort_values(["step", "path"], ignore_index=True), folder / "dropped.csv")
    write_json(folder / "counts.json", flow.counts)
    save_csv(_problem_table(flow), folder / "problems.csv")
    write_json(folder / "config.json", begun)
    for name in SCRATCH:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    study = {
        "format": FORMAT,
        "name": flow.config.name,
        "classes": flow.config.class_names,
        "fingerprint": fingerprint(folder, table),
        "data_root": str(flow.data),
        "lungs_model": flow.lungs.name,
        "apart_from": begun.get("apart_from", []),
        "seed": flow.config.seed,
        "versions": {name: version(name) for name in ("lunglens", "numpy", "onnxruntime", "pillow", "scipy")},
    }
    write_json(folder / "study.json", study)
    return study


def _image_id(source: str, image: str) -> str:
    """Source, file name and eight digits of the path's hash: readable, and unique where file names repeat."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:8]
    return f"{source}-{_file_name(Path(image).stem)[:60]}-{digest}"


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _problem_table(flow: _Flow) -> pd.DataFrame:
    table = pd.DataFrame([asdict(problem) for problem in flow.problems], columns=["file", "row", "column", "message"])
    table["file"] = table["file"].map(lambda name: _below(name, flow.data))
    return table.astype({"row": "Int64"})


def _below(name: str, data: Path) -> str:
    path = Path(name)
    return path.relative_to(data).as_posix() if path.is_relative_to(data) else name
