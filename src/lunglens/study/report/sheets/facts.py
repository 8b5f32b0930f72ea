"""What the files of a study and its run show, a fact a key, each with the file that shows it; nothing else is said."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lunglens.evaluate.audit.record import Audit
from lunglens.evaluate.intervals import REPEATS
from lunglens.film.about import NOTICE, __version__

Numbers = dict[str, Any]
DATA, RESULTS, FOLDS, AUDIT = "report/data.json", "report/results.json", "folds.json", "audit.json"


@dataclass(frozen=True)
class Evidence:
    """data, results: of the report; folds: how the study was folded; audit: of the run, if there is one.

    run: the first run of the results.
    """

    data: Numbers
    results: Numbers
    folds: Numbers
    audit: Audit | None

    @property
    def run(self) -> Numbers:
        """The run that the sheets are about."""
        found: Numbers = self.results["runs"][0]
        return found


@dataclass(frozen=True)
class Fact:
    """A statement, and the files that show it, as paths below the study's folder (of an audit, below its own)."""

    text: str
    files: tuple[str, ...]


def facts_of(evidence: Evidence) -> dict[str, Fact]:
    """By key, those that there are."""
    made = {key: make(evidence) for key, make in _FACTS.items()}
    return {key: Fact(text, files) for key, (text, files) in made.items() if text}


_Made = tuple[str, tuple[str, ...]]


def _task(of: Evidence) -> _Made:
    classes = " against ".join(of.data["study"]["classes"])
    return f"{classes}, on {of.data['images']:,} frontal chest radiographs of {of.data['groups']:,} patients", (DATA,)


def _model(of: Evidence) -> _Made:
    facts, view = of.run["facts"], of.run["config"]["view"]
    cost = f"{facts['parameters']:,} parameters, {facts['gflops']} GFLOPs, {facts['cpu_ms']} ms a film"
    return f"{facts['model']} at {view['input_size']}x{view['input_size']} px; {cost}", (RESULTS,)


def _sources(of: Evidence) -> _Made:
    texts = [
        f"{one['source']}: {one['n']:,} films ({', '.join(name for name in one['licences'] if name != 'unknown')})"
        for one in of.data["licences"]
    ]
    return "; ".join(texts) + ". Citations stand there too", (DATA,)


def _eligibility(of: Evidence) -> _Made:
    steps = [f"{one['words']} (-{one['dropped']:,})" for one in of.data["flow"]]
    return "; ".join(steps), (DATA, "counts.json")


def _flow(of: Evidence) -> _Made:
    first, last = of.data["flow"][0], of.data["flow"][-1]
    return (
        f"{first['kept']:,} films read, {last['kept']:,} kept in {len(of.data['flow'])} steps; the figure is there",
        ("report/data.html",),
    )


def _labels(of: Evidence) -> _Made:
    known = [f"{one['source']}: {one['hides']}" for one in of.data["licences"] if one["hides"]]
    return " ".join(known), (DATA,)


def _preprocessing(of: Evidence) -> _Made:
    view, lungs = of.run["config"]["view"], of.data["study"]["lungs_model"]
    cut = "cut to the lungs" if view["cut"] else "lungs blacked out" if view.get("blackout") else "whole films"
    more = f"; intensities: {view['equalize']}" if view.get("equalize", "none") != "none" else ""
    return f"lungs by {lungs}; {cut}; squashed to {view['film_size']}x{view['film_size']} px{more}", (RESULTS,)


def _missing(of: Evidence) -> _Made:
    strata = of.data["strata"]
    ages, sexes, views = (sum(one[name]["unknown"] for one in strata) for name in ("ages", "sexes", "views"))
    without = of.data["confounding"]["images_without_group"]
    kept = sum(one["unknown_kept"] for one in of.data["flow"])
    rule = of.folds["settings"].get("missing_patient", "refuse")
    text = f"films without age {ages:,}, sex {sexes:,}, view {views:,}, patient {without:,} (these: {rule}); "
    return text + f"criteria kept {kept:,} times what they could not judge", (DATA, FOLDS)


def _demographics(of: Evidence) -> _Made:
    texts = []
    for one in of.data["strata"]:
        age = one["ages"]["median"]
        sexes = ", ".join(f"{name} {n}" for name, n in one["sexes"].items())
        texts.append(f"{one['class']} of {one['source']}: median age {age if age is not None else 'unknown'}, {sexes}")
    return "; ".join(texts), (DATA,)


def _partitions(of: Evidence) -> _Made:
    settings = of.folds["settings"]
    external = ", ".join(settings.get("external") or ()) or "none"
    return (
        f"{settings['folds']} folds by {settings['by']}, stratified by class and source, seed {settings['seed']}; "
        f"sources kept out of training: {external}",
        (FOLDS, "folds.csv"),
    )


def _disjoint(of: Evidence) -> _Made:
    if of.folds["settings"]["by"] != "patient":
        return "", ()
    image = of.folds.get("split_by_image", {})
    leaks = f"; by image {image['leaking']} of {image['patients']} patients would leak" if "leaking" in image else ""
    return f"no patient, and no copy that is tied to one, stands on both sides of a fold{leaks}", (FOLDS,)


def _training(of: Evidence) -> _Made:
    how = of.run["config"]["optimization"]
    text = f"{how['optimizer']}, rate {how['learning_rate']}, batch {how['batch_size']}, {how['epochs']} epochs, "
    text += f"{how['schedule']}; augmentation and class balance as configured; seed {of.run['facts']['seed']}"
    return text, (RESULTS,)


def _initialisation(of: Evidence) -> _Made:
    begun = of.run["config"].get("pretrained", "none")
    return ("from nothing" if begun == "none" else f"from weights: {begun}"), (RESULTS,)


def _model_selection(of: Evidence) -> _Made:
    keep = of.run["config"]["optimization"].get("keep", "best")
    words = "of the last epoch" if keep == "last" else "of the epoch that is best on validation patients of the fold"
    return f"weights {words}", (RESULTS,)


def _software(of: Evidence) -> _Made:
    facts = of.run["facts"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    hardware = f"{facts['hardware']['cores']} cores, GPUs: {', '.join(facts['hardware']['gpus']) or 'none'}"
    return f"{versions}; {hardware}; {facts['date']}", (RESULTS,)


def _metrics(of: Evidence) -> _Made:
    names = [name for name in of.run["measures"][0] if name not in {"films", "n", "without"}]
    return f"{', '.join(names)}, each with a 95 % interval by patient", (RESULTS,)


def _uncertainty(of: Evidence) -> _Made:
    delong = "; DeLong's interval beside it" if of.run["asked"] else ""
    return f"bootstrap of whole patients, {REPEATS} draws, percentiles{delong}", (RESULTS,)


def _measured(of: Evidence, chosen: Callable[[str], bool]) -> _Made:
    rows = [row for row in of.run["measures"] if chosen(row["films"])]
    texts = [f"{row['films']} (n {row['n']:,}): AUROC {row['auroc']} %" for row in rows if row["auroc"] != "-"]
    return "; ".join(texts), (RESULTS,)


def _confusion(of: Evidence) -> _Made:
    row = of.run["measures"][0]
    text = f"sensitivity {row['sensitivity']} %, specificity {row['specificity']} %; matrices by fold as figures"
    return text, (RESULTS, "report/results.html")


def _calibration(of: Evidence) -> _Made:
    rows = [f"{row['films']}, {row['how']}: ECE {row['ece']:.3f}" for row in of.run["calibration"]]
    return "; ".join(rows), (RESULTS,)


def _thresholds(of: Evidence) -> _Made:
    return "; ".join(f"{one['purpose']}: {one['threshold']:.3f}" for one in of.run["purposes"]), (RESULTS,)


def _utility(of: Evidence) -> _Made:
    text = "net benefit by threshold, where a tenth have it, against acting on all and on none, as a figure"
    return (text if of.run["asked"] else ""), ("report/results.html",)


def _abstention(of: Evidence) -> _Made:
    rows = of.run["abstention"].get("coverage", [])
    texts = [f"{row['films']}: {row['covered']:.3f} covered, {row['answered']:.3f} answered" for row in rows]
    return "; ".join(texts), (RESULTS,)


def _false_alarms(of: Evidence) -> _Made:
    rows = of.run["false_alarms"].items()
    return "; ".join(f"{films}: {row['called']} of {row['n']} called COVID-19" for films, row in rows), (RESULTS,)


def _confounding(of: Evidence) -> _Made:
    return " ".join((of.data["words"]["headline"], *of.data["words"]["because"])), (DATA,)


def _audit(of: Evidence) -> _Made:
    tests = () if of.audit is None else of.audit.tests
    return "; ".join(f"{test.test} {test.name}: {test.verdict}" for test in tests), (AUDIT,)


def _of_tests(of: Evidence, names: Iterable[str]) -> _Made:
    tests = () if of.audit is None else of.audit.tests
    found = [test.sentence for test in tests if test.name in names and test.verdict != "not done"]
    return " ".join(found), (AUDIT,)


def _explainability(of: Evidence) -> _Made:
    if of.results["heat"]:
        return "share of the heat in the lungs, dependence on the weights, zones: measured out of fold", (RESULTS,)
    return _of_tests(of, {"Where the heat lies"})


def _comparison(of: Evidence) -> _Made:
    compared = of.results["compared"]
    if not compared:
        return "", ()
    names = ", ".join(run["name"] for run in compared["runs"])
    return f"{names}; paired tests by patient, with Holm's correction", (RESULTS,)


def _availability(of: Evidence) -> _Made:
    links = [f"{one['source']}: {one['url']}" for one in of.data["licences"] if one["url"]]
    return f"LungLens {__version__}, Apache-2.0; data: {'; '.join(links)}", (DATA,)


def _limits(of: Evidence) -> _Made:
    more = "; ".join(f"{one['what']}: here {one['here']}" for one in of.results["differences"])
    return " ".join(filter(None, (of.data["words"]["headline"], more))), (DATA, RESULTS)


_FACTS: dict[str, Callable[[Evidence], _Made]] = {
    "task": _task,
    "model": _model,
    "sources": _sources,
    "eligibility": _eligibility,
    "flow": _flow,
    "labels": _labels,
    "preprocessing": _preprocessing,
    "missing": _missing,
    "demographics": _demographics,
    "partitions": _partitions,
    "disjoint": _disjoint,
    "training": _training,
    "initialisation": _initialisation,
    "model_selection": _model_selection,
    "software": _software,
    "metrics": _metrics,
    "uncertainty": _uncertainty,
    "internal": lambda of: _measured(of, lambda films: films.startswith("cross-validated, all")),
    "external": lambda of: _measured(of, lambda films: films.startswith("not trained on")),
    "by_source": lambda of: _measured(of, lambda films: "all" not in films),
    "subgroups": lambda of: _of_tests(of, {"Subgroups"}),
    "confusion": _confusion,
    "calibration": _calibration,
    "thresholds": _thresholds,
    "utility": _utility,
    "abstention": _abstention,
    "false_alarms": _false_alarms,
    "confounding": _confounding,
    "audit": _audit,
    "robustness": lambda of: _of_tests(of, {"Edits that leave the lungs as they are"}),
    "explainability": _explainability,
    "comparison": _comparison,
    "availability": _availability,
    "intended_use": lambda _: (NOTICE, ("report/results.html",)),
    "limits": _limits,
}
KEYS = frozenset(_FACTS)
