"""The card of a classifier package, README.md: what it was made of, what it answers, what it may be used for."""

from typing import Any

import pandas as pd

from lunglens.evaluate.predictions import EXTERNAL, UNUSED
from lunglens.film.model_package.record import ClassifierParameters, Record
from lunglens.study.sources import SOURCES

_TEXT = """# {name} {version}: {classes}

{backbone} (timm, {start}) on frontal chest radiographs at {size}x{size}: {view}. {models}
Trained {date}, {epochs} epochs, seed {seed}, on the study "{study}", fingerprint `{fingerprint}`.
{decision}{heat}

## Intended use
Research on how such models behave. **Not a medical device, not for diagnosis or triage**, and not for films of other
kinds than those it was trained on: children, lateral films, CT. The probability holds at the balance of training, not
at any hospital's prevalence. What separates the classes in these films may be the hospital, the device or the year.

## Training data
{data}

## Licence
What the data allow holds for the weights too.
{licences}

## Measured
On {measured_on}. Intervals are 95 % bootstrap by patient.

{measured}

## Limits
Models of chest films lose much on hospitals that they have not seen; only the rows "never trained on" say how much.
{hides}

## Settings
`package.json` has all of them (`provenance`), with the versions and the hardware of the training.
"""


def card(record: Record[ClassifierParameters], films: pd.DataFrame, sources: pd.DataFrame, *, has_heat: bool) -> str:
    """The card as Markdown.

    Args:
        record: of the package, with `origin`, `provenance` and `measured`.
        films: source, class, group_id and fold of the study's films.
        sources: source, licence and citation.
        has_heat: whether the package draws heat-maps.
    """
    about, config, answer = record.provenance, record.provenance["config"], record.parameters.answer
    members = record.origin.members or 1
    names = [entry.words for entry in answer.classes]
    decision = "It decides for the most probable class."
    if answer.threshold is not None:
        decision = (
            f'It answers "{names[0]}" from a probability of {answer.threshold} on, where sensitivity + specificity is '
            "largest (every source x class weighing the same)."
        )
    return _TEXT.format(
        name=record.name,
        version=record.version,
        classes=" or ".join(names),
        backbone=config["backbone"],
        start=_start(config["pretrained"]),
        size=record.input_size,
        view=_view(record.parameters),
        models=f"The mean of {members} models, one a fold." if members > 1 else "One model.",
        date=about["run"]["date"],
        epochs=config["optimization"]["epochs"],
        seed=about["run"]["seed"],
        study=record.origin.data["name"],
        fingerprint=str(record.origin.data["fingerprint"])[:16],
        decision=decision,
        heat="" if has_heat else "\nIts network has no maps of features, so it draws no heat-map.",
        data=_data(films),
        licences=_licences(films, sources),
        measured_on=record.measured.on,
        measured=_measured(record),
        hides="\n".join(f"- {name}: {SOURCES[name].hides}" for name in sorted(set(films["source"])) if name in SOURCES),
    )


def _start(pretrained: str) -> str:
    return {"none": "from scratch", "imagenet": "from ImageNet"}.get(pretrained, "from other weights")


def _view(parameters: ClassifierParameters) -> str:
    view = parameters.view
    parts = ["cut to the lungs" if view.cut else "the whole film"]
    parts += ["cropped to their box"] if view.crop else []
    parts += ["intensities replaced by their rank inside the lungs"] if view.equalize == "lungs" else []
    return ", ".join(parts)


def _data(films: pd.DataFrame) -> str:
    used = films[films["fold"] != UNUSED]
    use = used["fold"].map(lambda fold: "tested on only" if fold == EXTERNAL else "training")
    rows = [
        (source, name, kind, len(table), table["group_id"].nunique())
        for (source, name, kind), table in used.groupby(["source", "class", use.rename("use")], sort=True)
    ]
    return _table(["source", "class", "use", "films", "patients"], rows)


def _licences(films: pd.DataFrame, sources: pd.DataFrame) -> str:
    lines = []
    for name in sorted(set(films["source"])):
        known = sources[sources["source"] == name]
        texts = [text for column in ("licence", "citation") if column in known for text in known[column] if text]
        title = SOURCES[name].title if name in SOURCES else name
        words = "; ".join(list(dict.fromkeys(texts))[:4])
        lines.append(f"- {title}: {words or (SOURCES[name].licence if name in SOURCES else 'not stated')}")
    return "\n".join(lines)


def _measured(record: Record[ClassifierParameters]) -> str:
    points = {row.films: row for row in record.measured.rows}
    rows = []
    for films, found in record.provenance["metrics"].items():
        counts = " : ".join(str(n) for n in found["classes"].values())
        shares = [_share(found, name) for name in ("auroc", "balanced_accuracy")]
        if record.parameters.answer.is_binary:
            point = points[films].model_dump() if films in points else {}
            shares = [shares[0], _share(point, "sensitivity"), _share(point, "specificity")]
        rows.append((films, counts, *shares))
    classes = " : ".join(entry.name for entry in record.parameters.answer.classes)
    last = ["sensitivity", "specificity"] if record.parameters.answer.is_binary else ["balanced accuracy"]
    return _table(["films", classes, "AUROC", *last], rows)


def _share(found: dict[str, Any], name: str) -> str:
    value, between = found.get(name), found.get(f"{name}_95_ci")
    if value is None:
        return "-"
    return f"{value:.3f}" if between is None else f"{value:.3f} ({between[0]:.3f} to {between[1]:.3f})"


def _table(names: list[str], rows: list[tuple[Any, ...]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "/") for cell in line) + " |" for line in lines)
