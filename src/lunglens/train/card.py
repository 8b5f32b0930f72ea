"""The card of a classifier package, README.md: what it was made of, what it answers, what it may be used for."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from lunglens.evaluate.predictions import EXTERNAL, UNUSED
from lunglens.files import templates
from lunglens.film.model_package.record import ClassifierParameters, Record
from lunglens.study.sources import SOURCES
from lunglens.text import markdown_table


def card(record: Record[ClassifierParameters], films: pd.DataFrame, sources: pd.DataFrame, *, has_heat: bool) -> str:
    """The card as Markdown.

    Args:
        record: of the package, with `origin`, `provenance` and `measured`.
        films: source, class, group_id and fold of the study's films.
        sources: source, licence and citation.
        has_heat: whether the package draws heat-maps.
    """
    names = sorted(set(films["source"]))
    return (
        templates("lunglens.train")
        .get_template("card.md.jinja")
        .render(
            record=record,
            config=record.provenance["config"],
            answer=record.parameters.answer,
            view=record.parameters.view,
            has_heat=has_heat,
            data=_data(films),
            licences=[_licence(name, sources[sources["source"] == name]) for name in names],
            measured="\n".join(_measured(record)),
            opacity="\n".join(_opacity(record)),
            false_alarms="\n".join(_false_alarms(record)),
            purposes="\n".join(_purposes(record)),
            coverage="\n".join(_coverage(record)),
            hides=[(name, SOURCES[name].hides) for name in names if name in SOURCES],
        )
    )


def _data(films: pd.DataFrame) -> str:
    used = films[films["fold"] != UNUSED]
    use = used["fold"].map(lambda fold: "tested on only" if fold == EXTERNAL else "training").rename("use")
    groups = used.groupby(["source", "class", use], sort=True)
    rows = [[*map(str, names), str(len(table)), str(table["group_id"].nunique())] for names, table in groups]
    return "\n".join(markdown_table(["source", "class", "use", "films", "patients"], rows))


def _licence(name: str, rows: pd.DataFrame) -> tuple[str, str]:
    """Title and licence of a source: as its films say, else as the published set says."""
    texts = [text for column in ("licence", "citation") if column in rows for text in rows[column] if text]
    published = SOURCES[name].licence if name in SOURCES else "not stated"
    return (SOURCES[name].title if name in SOURCES else name), "; ".join(list(dict.fromkeys(texts))[:4]) or published


def _measured(record: Record[ClassifierParameters]) -> Iterator[str]:
    """A row a set of films: how many of each class, AUROC, and what the decision does."""
    answer, points = record.parameters.answer, {row.films: row.model_dump() for row in record.measured.rows}
    last = ["sensitivity", "specificity"] if answer.is_binary else ["balanced_accuracy"]
    rows = []
    for films, found in record.provenance["metrics"].items():
        decided = points.get(films, {}) if answer.is_binary else found
        shares = [_share(found, "auroc"), *(_share(decided, name) for name in last)]
        rows.append([films, " : ".join(str(n) for n in found["classes"].values()), *shares])
    classes = " : ".join(entry.name for entry in answer.classes)
    yield from markdown_table(["films", classes, "AUROC", *(name.replace("_", " ") for name in last)], rows)


def _opacity(record: Record[ClassifierParameters]) -> Iterator[str]:
    """A row a set of films of which it is known whether there is any opacity."""
    found = record.provenance.get("opacity", {"measured": {}, "rows": []})
    points = {row["films"]: row for row in found["rows"]}
    rows = [
        [films, " : ".join(str(n) for n in measured["classes"].values()), _share(measured, "auroc")]
        + [_share(points.get(films, {}), name) for name in ("sensitivity", "specificity")]
        for films, measured in found["measured"].items()
    ]
    yield from markdown_table(["films", "any opacity : none", "AUROC", "sensitivity", "specificity"], rows)


def _false_alarms(record: Record[ClassifierParameters]) -> Iterator[str]:
    """A row a source of films that cannot be of COVID-19: how many are called so."""
    found = record.provenance.get("false_alarms", {})
    yield from markdown_table(
        ["films", "n", "called COVID-19"],
        [
            [films, str(row["n"]), _share(row | {"share_95_ci": row["share_95_ci"]}, "share")]
            for films, row in found.items()
        ],
    )


def _purposes(record: Record[ClassifierParameters]) -> Iterator[str]:
    """A row a purpose and set of films: what its threshold does there."""
    rows = [
        [
            one["purpose"],
            f"{one['threshold']:.3f}",
            row["films"],
            _share(row, "sensitivity"),
            _share(row, "specificity"),
        ]
        for one in record.provenance.get("purposes", [])
        for row in one["rows"]
    ]
    yield from markdown_table(["to", "threshold", "films", "sensitivity", "specificity"], rows)


def _coverage(record: Record[ClassifierParameters]) -> Iterator[str]:
    """A row a set of films: how often the class is among the possible ones, and how many films get one class."""
    found = record.provenance.get("coverage", [])
    rows = [
        [row["films"], str(row["n"]), *(_share(row, name) for name in ("covered", "answered", "wrong"))]
        for row in found
    ]
    yield from markdown_table(["films", "n", "its class is possible", "answered", "wrong of those answered"], rows)


def _share(found: dict[str, Any], name: str) -> str:
    value, between = found.get(name), found.get(f"{name}_95_ci")
    if value is None:
        return "-"
    return f"{value:.3f}" if between is None else f"{value:.3f} ({between[0]:.3f} to {between[1]:.3f})"
