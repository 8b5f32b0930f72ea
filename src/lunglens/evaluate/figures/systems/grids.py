"""The tables of a sweep as text cells, the same for Markdown, LaTeX and the page."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scipy.stats import binomtest

from lunglens.evaluate.figures.style import p_value, percent, percents, spread
from lunglens.evaluate.systems.films import ELSEWHERE, FOLDS, PAIR, WITHIN
from lunglens.evaluate.systems.numbers import Part, Row, Systems
from lunglens.evaluate.systems.record import Printed

SHOWN = {"film": "whole film", "lungs": "lungs only", "surroundings": "lungs black"}
_AT_HALF = ("sensitivity", "specificity", "accuracy")
_PRINTED = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
    "f1": "F1",
}


@dataclass(frozen=True)
class Grid:
    """A table: what it shows, how to read it, its columns and its rows, all text; the first columns name the row."""

    title: str
    caption: str
    head: list[str]
    rows: list[list[str]]


def grids_of(systems: Systems) -> list[Grid]:
    """What was printed and AUROC everywhere, then the details of every study."""
    studies = list(dict.fromkeys(row.swept.study for row in systems.rows))
    found = [_auroc(systems, studies), _printed(systems)]
    for study in studies:
        rows = [row for row in systems.rows if row.swept.study == study]
        found += [_at_half(study, rows), _collections(study, rows), _against(study, rows, systems.reference)]
        found.append(_calibration(study, rows))
    found.append(_costs([row for row in systems.rows if row.swept.study == studies[0]]))
    return [grid for grid in found if grid.rows and len(grid.head) > 2]


def name_of(row: Row) -> str:
    """What a row is called: its label, and its seed where there are several."""
    return row.swept.label + ("" if row.swept.seed is None else f", seed {row.swept.seed}")


def printed_words(printed: Printed | None) -> str:
    """A printed result with its counts: "accuracy 90 % (95 %: 55.5 to 99.7 of 10 images)"."""
    if printed is None:
        return "-"
    shares = {word: getattr(printed, name) for name, word in _PRINTED.items()}
    said = [f"{word} {100 * value:.4g} %" for word, value in shares.items() if value is not None]
    said += [] if printed.kappa is None else [f"kappa {printed.kappa:.2f}"]
    if printed.accuracy is not None and printed.test_images is not None:
        n = printed.test_images
        ends = binomtest(round(printed.accuracy * n), n).proportion_ci(method="exact")
        said.append(f"{n} images: accuracy within {100 * ends.low:.1f} to {100 * ends.high:.1f} %")
    return "; ".join(said)


def _auroc(systems: Systems, studies: list[str]) -> Grid:
    """A row a system: AUROC with every input on the first study, wherever it was tested, and in the others' folds."""
    columns: dict[str, tuple[str, str, str]] = {}
    for study in studies:
        kinds, of = ((FOLDS, ELSEWHERE, WITHIN), "") if study == studies[0] else ((FOLDS,), f"{study}, ")
        for shown, words in SHOWN.items():
            rows = [row for row in systems.rows if (row.swept.study, row.swept.shown) == (study, shown)]
            for films in _words(rows, *kinds):
                columns[f"{of}{words}: {films}"] = study, shown, films
    lines: dict[tuple[str, int | None], dict[tuple[str, str], Row]] = {}
    for row in systems.rows:
        lines.setdefault((row.swept.system, row.swept.seed), {})[row.swept.study, row.swept.shown] = row
    cells = []
    for found in lines.values():
        first = next(iter(found.values()))
        values = [_area(found.get((study, shown)), films) for study, shown, films in columns.values()]
        cells.append([name_of(first), first.swept.began, *values])
    caption = (
        "Area under the ROC curve with 95 % bootstrap intervals by patient; of more than two classes the mean of each "
        "against the rest. In folds: every film by the model that has not seen its patient. Elsewhere: films of "
        "other collections, by the mean answer of all folds' models. Within: one collection that holds both sides, "
        "where the place cannot give the class away. Lungs black: what a score without any lung is worth."
    )
    return Grid("AUROC in folds, elsewhere and without lungs", caption, ["system", "began from", *columns], cells)


def _printed(systems: Systems) -> Grid:
    first = {row.swept.system: row.swept for row in reversed(systems.rows)}
    order = dict.fromkeys(row.swept.system for row in systems.rows)
    cells = []
    for one in (first[system] for system in order):
        origin, printed = one.origin, one.printed
        who = "the paper" if origin is None else f"{origin.number}. {origin.title} ({origin.authors}, {origin.year})"
        quoted = "-" if origin is None else f"{origin.quoted}. {origin.misquote}".strip()
        meaning = "-" if printed is None else f"{printed.setting}: {printed.meaning}"
        cells.append([one.label, who, printed_words(printed), meaning, quoted])
    caption = (
        "What the publications print, and of what. Most of these figures are by image, from films of which the classes "
        "come from different places, and many without films that were held out: they stand in no column with ours."
    )
    head = ["system", "of", "printed", "which is", "what the paper's table 1 makes of it"]
    return Grid("What was printed", caption, head, cells)


def _at_half(study: str, rows: list[Row]) -> Grid:
    kinds = [kind for kind in (FOLDS, ELSEWHERE) if any(row.first(kind) for row in rows)]
    head = [f"{measure}, {'in folds' if kind == FOLDS else kind}" for kind in kinds for measure in _AT_HALF]

    def cells(row: Row) -> Iterable[str]:
        for kind in kinds:
            part = row.first(kind)
            yield from ("-" if part is None else percents(part.measures, measure, 1) for measure in _AT_HALF)

    caption = "In %, with 95 % bootstrap intervals by patient; the class is called from a probability of 0.5 on."
    return _by_input(f"{study}: at a probability of 0.5", caption, head, rows, cells)


def _collections(study: str, rows: list[Row]) -> Grid:
    words = _words(rows, WITHIN, PAIR)
    caption = (
        "AUROC within one collection, and between the positives of one collection and the negatives of another. "
        "Only collections of the study itself were trained on."
    )
    return _by_input(
        f"{study}: AUROC by collection", caption, words, rows, lambda row: (_area(row, each) for each in words)
    )


def _against(study: str, rows: list[Row], reference: str) -> Grid:
    words = [name for name in _words(rows) if any(_difference(row.parts.get(name)) != "-" for row in rows)]
    caption = (
        f"AUROC less that of {reference} on the same films (with the same input, where it is a system of the sweep), "
        "in points of 100, with 95 % interval and p (DeLong's test by patient), in brackets after Holm's correction "
        "over the column. *: that is below 0.05."
    )
    return _by_input(
        f"{study}: against {reference}",
        caption,
        words,
        [row for row in rows if any(part.against for part in row.parts.values())],
        lambda row: (_difference(row.parts.get(each)) for each in words),
    )


def _calibration(study: str, rows: list[Row]) -> Grid:
    kinds = [kind for kind in (FOLDS, ELSEWHERE) if any(row.first(kind) for row in rows)]
    head = [f"{name}, {'in folds' if kind == FOLDS else kind}" for kind in kinds for name in ("ECE", "Brier")]

    def cells(row: Row) -> Iterable[str]:
        for kind in kinds:
            part = row.first(kind)
            yield from ("-", "-") if part is None else (f"{part.calibration.ece:.3f}", f"{part.calibration.brier:.3f}")

    caption = (
        "Expected calibration error over 15 bins of equally many films, and Brier score; 0 is best. Who always says "
        "the share of the first class has an ECE of 0 and, where that is a half, a Brier score of 0.25."
    )
    return _by_input(f"{study}: do the probabilities mean what they say?", caption, head, rows, cells)


def _costs(rows: list[Row]) -> Grid:
    first = {row.swept.system: row for row in reversed(rows)}
    order = dict.fromkeys(row.swept.system for row in rows)
    cells = []
    for row in (first[system] for system in order):
        run = row.run
        minutes = "-" if run.train_seconds is None else f"{run.train_seconds / 60:.1f}"
        draws = "-" if run.draws is None else f"{run.draws:,}"
        size = f"{run.config.get('view', {}).get('input_size', '-')}"
        costs = [f"{(run.parameters or 0) / 1e6:,.2f}", f"{run.gflops or 0:.2f}", f"{run.cpu_ms or 0:.0f}"]
        cells.append([row.swept.label, row.swept.began, size, *costs, draws, minutes])
    caption = (
        "Began from: none, imagenet, lite (ImageNet's weights of EfficientNet-Lite in the place of the original's) or "
        "a file. GFLOPs count a multiply-add as two. Time of one film on the CPU of the machine that put the run "
        "together, beside what else it did. Draws: training films seen in a fold, with repetition."
    )
    head = [
        "system",
        "began from",
        "px",
        "parameters, M",
        "GFLOPs",
        "ms a film",
        "draws a fold",
        "minutes a fold",
    ]
    return Grid("What they cost", caption, head, cells)


def _by_input(
    title: str, caption: str, head: list[str], rows: list[Row], cells: Callable[[Row], Iterable[str]]
) -> Grid:
    """A row a system and input."""
    lines = [[name_of(row), SHOWN[row.swept.shown], *cells(row)] for row in rows]
    return Grid(title, caption, ["system", "sees", *head], lines)


def _words(rows: list[Row], *kinds: str) -> list[str]:
    """The films, in words, of these kinds (all if none) that any of the rows has."""
    return list(
        dict.fromkeys(words for row in rows for words, part in row.parts.items() if not kinds or part.kind in kinds)
    )


def _area(row: Row | None, films: str) -> str:
    part = None if row is None else row.parts.get(films)
    return "-" if part is None else spread(part.measures.auroc, part.measures.auroc_95_ci)


def _difference(part: Part | None) -> str:
    if part is None or part.against is None:
        return "-"
    found = part.against
    if found.ci is None or found.p is None:
        return f"{100 * found.value:+.1f}"
    star = "*" if part.p_holm is not None and part.p_holm < 0.05 else ""
    corrected = "" if part.p_holm is None else f" ({p_value(part.p_holm)})"
    low, high = (percent(end, 1) for end in found.ci)
    return f"{100 * found.value:+.1f}{star} ({low} to {high}), p {p_value(found.p)}{corrected}"
