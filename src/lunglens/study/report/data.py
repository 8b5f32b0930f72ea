"""Every number of the report of a data set, as it goes to `data.json`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from lunglens.evaluate.confounding import Confounding, Guess, audit_confounding
from lunglens.study.report.paper import PAPER_SOURCES
from lunglens.study.report.tables import StudyTables
from lunglens.study.report.worth import worth_of
from lunglens.study.sources import SOURCES

UNKNOWN = "unknown"
DECADES = tuple(range(0, 100, 10))  # the last one is open: 90 and older
MOST_PROBLEMS = 100
Numbers = dict[str, Any]


def study_numbers(study: StudyTables) -> Numbers:
    """All that the page shows, as values that JSON holds; figures and tables are made from this and nothing else."""
    images, about = study.images, study.about
    audit = audit_confounding(images, study.classes, int(about["seed"]))
    return {
        "format": 1,
        "study": {key: about.get(key) for key in ("name", "fingerprint", "seed", "classes", "lungs_model", "versions")},
        "images": len(images),
        "groups": int(images["group_id"].nunique()),
        "per_class": {name: int((images["class"] == name).sum()) for name in study.classes},
        "words": asdict(worth_of(audit)),
        "confounding": _confounding(audit),
        "sources_taken": sources_taken(study),
        "flow": flow(study),
        "strata": [_stratum(name, source, rows) for name, source, rows in _strata(study)],
        "findings": _findings(study),
        "problems": _problems(study.problems),
        "licences": [_credit(source, rows) for source, rows in images.groupby("source", sort=True)],
    }


def flow(study: StudyTables) -> list[Numbers]:
    """Each step: number, kind, words, and for each class how many are kept (by source) and dropped."""
    classes = [*study.classes, *_further_classes(study)]
    steps: list[Numbers] = []
    for entry in study.counts:
        kept = {name: entry["kept"].get(name, {}) for name in classes}
        totals = {name: sum(kept[name].values()) for name in classes}
        before = steps[-1]["classes"] if steps else None
        found = {
            name: {
                "kept": totals[name],
                "dropped": before[name]["kept"] - totals[name] if before else 0,
                "by_source": dict(sorted(kept[name].items())),
            }
            for name in classes
        }
        step = {key: entry[key] for key in ("step", "kind", "words", "dropped", "unknown_kept")}
        steps.append(step | {"classes": found, "kept": sum(totals.values())})
    return steps


def sources_taken(study: StudyTables) -> list[Numbers]:
    """The paper's table 2: a row a source, this study's and, where they share one, the paper's.

    Taken: before lungs are segmented.
    """
    by_source = [_by_source(entry) for entry in study.counts]
    kinds = [entry["kind"] for entry in study.counts]
    chosen = kinds.index("lungs") - 1 if "lungs" in kinds else len(kinds) - 1
    rows = []
    names = set().union(*by_source)
    is_of_paper = names & PAPER_SOURCES.keys() or any("covid" in name.casefold() for name in study.classes)
    of_paper = PAPER_SOURCES if is_of_paper else {}
    for source in sorted(names - of_paper.keys()) + list(of_paper):
        own = study.images[study.images["source"] == source]
        words = [
            study.counts[step]["words"]
            for step in range(1, chosen + 1)
            if by_source[step].get(source, 0) < by_source[step - 1].get(source, 0)
        ]
        here = {
            "read": by_source[0].get(source, 0),
            "taken": by_source[chosen].get(source, 0),
            "in_study": len(own),
            "kind": _kind(own),
            "selection": words,
        }
        used = any(source in step for step in by_source)
        rows.append({"source": source, "here": here if used else None, "paper": of_paper.get(source)})
    return sorted(rows, key=lambda row: row["here"] is None)


def _further_classes(study: StudyTables) -> list[str]:
    """What `counts.json` calls films that are of none of the classes."""
    return sorted({name for entry in study.counts for name in entry["kept"]} - set(study.classes))


def _by_source(entry: Numbers) -> Counter[str]:
    totals: Counter[str] = Counter()
    for sources in entry["kept"].values():
        totals.update(sources)
    return totals


def _kind(images: pd.DataFrame) -> str:
    """Whether the files are of one size, as in the paper's table 2."""
    sizes = images[["width_px", "height_px"]].drop_duplicates().dropna().to_numpy(dtype=int)
    if len(sizes) == 0:
        return "size not measured"
    if len(sizes) == 1:
        return f"constant size, {sizes[0][0]}x{sizes[0][1]}"
    low, high = sizes.min(axis=0), sizes.max(axis=0)
    return f"variable size: {len(sizes)} sizes, {low[0]} to {high[0]} px wide, {low[1]} to {high[1]} px high"


def _confounding(audit: Confounding) -> Numbers:
    rows = [
        {
            "source": str(source),
            "classes": {str(k): int(v) for k, v in row.items()},
            "one_class": int((row > 0).sum()) == 1,
        }
        for source, row in audit.table.iterrows()
    ]
    metadata = audit.metadata
    combined = {"file": metadata.file, "stated": metadata.stated, "patient": metadata.patient}
    return {
        "table": rows,
        "cramers_v": audit.association.v,
        "cramers_v_bias_corrected": audit.association.corrected,
        "share_single_class": round(audit.share_single_class, 4),
        "metadata_auc": {name: _guess(guess) for name, guess in combined.items()},
        "metadata_auc_alone": [_guess(guess) for guess in metadata.alone],
        "images_without_group": metadata.without_group,
        "worst_feature": metadata.worst.features[0] if metadata.worst else None,
    }


def _guess(guess: Guess) -> Numbers:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(guess).items()}


def _strata(study: StudyTables) -> Iterable[tuple[str, str, pd.DataFrame]]:
    for name in study.classes:
        for source, rows in study.images[study.images["class"] == name].groupby("source", sort=True):
            yield name, str(source), rows


def _stratum(name: str, source: str, rows: pd.DataFrame) -> Numbers:
    ages = rows["age_years"].dropna()
    decades = Counter(min(int(age) // 10 * 10, DECADES[-1]) for age in ages)
    return {
        "class": name,
        "source": source,
        "n": len(rows),
        "groups": int(rows["group_id"].nunique()),
        "ages": {
            "unknown": int(rows["age_years"].isna().sum()),
            "median": None if ages.empty else round(float(ages.median()), 1),
            "range": None if ages.empty else [round(float(ages.min()), 1), round(float(ages.max()), 1)],
            "decades": {str(start): decades.get(start, 0) for start in DECADES},
        },
        "sexes": _values(rows["sex"]),
        "views": _values(rows["view"]),
        "sizes": {"file": _sizes(rows, ""), "original": _sizes(rows, "original_")},
        "lung_px": None if rows["lung_px"].isna().all() else int(rows["lung_px"].median()),
    }


def _values(cells: pd.Series) -> dict[str, int]:
    """Value -> number, the most frequent first; unknown last, and always there."""
    counts = Counter(cells.dropna())
    found = {str(value): n for value, n in sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))}
    return found | {UNKNOWN: int(cells.isna().sum())}


def _sizes(rows: pd.DataFrame, prefix: str) -> Numbers:
    known = rows[[f"{prefix}width_px", f"{prefix}height_px"]].dropna().astype(int)
    counts = Counter((int(width), int(height)) for width, height in known.to_numpy())
    return {
        "unknown": len(rows) - len(known),
        "distinct": len(counts),
        "smallest": [int(side) for side in known.min()] if len(known) else None,
        "median": [int(side) for side in known.median()] if len(known) else None,
        "largest": [int(side) for side in known.max()] if len(known) else None,
        "points": [[*size, n] for size, n in sorted(counts.items())],
    }


def _findings(study: StudyTables) -> Numbers:
    """The paper's figure 2: diagnoses as published, of all that was read of the positive class's largest source."""
    positive = study.images[study.images["class"] == study.classes[0]]
    source = str(positive["source"].value_counts().index[0]) if len(positive) else str(study.images["source"].iloc[0])
    rows = study.diagnoses[study.diagnoses["source"] == source].fillna({"diagnosis": "not stated", "modality": UNKNOWN})
    table = rows.pivot_table(index="diagnosis", columns="modality", values="n", aggfunc="sum", fill_value=0)
    order = table.sum(axis=1).sort_values(ascending=False, kind="stable").index
    found = [
        {
            "finding": str(name),
            "n": int(table.loc[name].sum()),
            "by_modality": {str(k): int(v) for k, v in table.loc[name].items()},
        }
        for name in order
    ]
    return {"source": source, "n": int(rows["n"].sum()), "rows": found}


def _problems(problems: pd.DataFrame) -> Numbers:
    files = Counter(problems["file"].fillna(UNKNOWN))
    first = problems.head(MOST_PROBLEMS).to_dict(orient="records")
    return {"n": len(problems), "by_file": dict(files.most_common()), "first": first}


def _credit(source: Any, rows: pd.DataFrame) -> Numbers:
    known = SOURCES.get(str(source))
    return {
        "source": str(source),
        "title": known.title if known else None,
        "url": known.url if known else None,
        "hides": known.hides if known else None,
        "n": len(rows),
        "licences": _values(rows["licence"]),
        "citations": _values(rows["citation"]),
    }
