"""Write model cards and tables of README and docs from the measured results: no number in them is typed by hand.

    python tools/write_cards.py

Reads results/*.json (copied from run folders) and the packages' descriptions; writes src/lunglens/models/*/README.md and the
marked parts of README.md and docs/explanation/.
"""

import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lunglens.text import markdown_table

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "lunglens" / "models"
LICENCES = {
    "montgomery": "Montgomery County CXR set (NLM, Jaeger et al. 2014): public, research use, cite",
    "shenzhen": "Shenzhen CXR set (NLM, Jaeger et al. 2014; masks Stirenko et al. 2018): public, research use, cite",
    "covid-chestxray-dataset": "covid-chestxray-dataset (Cohen et al. 2020): per image, mostly CC BY-NC-SA 4.0; lung masks (V7 Labs, General Blockchain): CC BY 4.0",
    "covid-cxnet": "COVID-CXNet (Haghanifar et al. 2020): CC BY 4.0 for the collection",
    "covid19-radiography": "COVID-19 Radiography Database (Chowdhury et al. 2020; Rahman et al. 2021): not stated",
    "covid19-radiography-224": "COVID-19 Radiography Database (Chowdhury et al. 2020; Rahman et al. 2021): not stated",
    "nih-chestxray14": "NIH ChestX-ray14 (Wang et al. 2017): free with attribution",
    "kermany-v7": "Kermany's children's films (Kermany et al. 2018): CC BY 4.0; masks (V7 Labs 2020): CC BY 4.0",
    "hannover": "Hannover, covid-19-image-repository (Winther et al. 2020): CC BY 3.0",
}


def results(name: str) -> Any:
    return json.loads((ROOT / "results" / f"{name}.json").read_text())


def interval(values: dict[str, Any], name: str) -> str:
    """0.971 (0.96 to 0.98), or a dash."""
    value, bounds = values.get(name), values.get(f"{name}_95_ci")
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")


def table(head: str, rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; `head` names its columns, with a bar between two."""
    return "\n".join(markdown_table(head.split(" | "), [[str(cell) for cell in row] for row in rows]))


def data_table(images: dict[str, int]) -> str:
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for key, count in images.items():
        source, label, part = key.split(" ")
        rows.setdefault((source, label), {})[part] = count
    parts = [p for p in ("train", "validation", "test", "external") if any(p in row for row in rows.values())]
    head = " | ".join(["source", "label", *parts])
    return table(head, ([*key, *(row.get(part, 0) for part in parts)] for key, row in rows.items()))


def folds_table(images: dict[str, int]) -> str:
    """Films a source and class, and how many of them each fold holds; keys: "source class fold number"."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for key, count in images.items():
        words, fold = key.rsplit(" fold ", 1)
        source, name = words.split(" ", 1)
        rows.setdefault((source, name), {})[fold] = count
    names = sorted({fold for row in rows.values() for fold in row})
    head = " | ".join(["source", "class", "films", *(f"fold {name}" for name in names)])
    cells = ([*key, sum(row.values()), *(row.get(name, 0) for name in names)] for key, row in rows.items())
    return table(head, cells)


def licences(images: dict[str, int]) -> str:
    return "\n".join(f"- {LICENCES[source]}" for source in dict.fromkeys(key.split(" ")[0] for key in images))


def classifier_table(twin: dict[str, Any]) -> str:
    """AUROC on films by finding, and what the balanced threshold does there."""
    points = {row["films"]: row for row in twin["balanced"]["rows"]}
    return table(
        "films | COVID : other | AUROC | sensitivity | specificity",
        (
            [
                words.replace("tested mixture", "the mixture, out of fold"),
                " : ".join(map(str, found["n"])),
                f"{found['value']:.3f} ({found['95_ci'][0]:.3f} to {found['95_ci'][1]:.3f})",
                *(interval(points[words], name) for name in ("sensitivity", "specificity")),
            ]
            for words, found in twin["auroc"].items()
        ),
    )


def alarms_table(twin: dict[str, Any]) -> str:
    """Who is called COVID-19 by the threshold that finds 85 % of validation's."""
    rows = []
    for words, found in twin["called"].items():
        between = "" if found["95_ci"] is None else f" ({found['95_ci'][0]:.2f} to {found['95_ci'][1]:.2f})"
        rows.append([words, found["n"], f"{found['share']:.2f}{between}"])
    return table("films | n | share called COVID-19", rows)


def subgroups_table(twin: dict[str, Any]) -> str:
    """What the balanced threshold does by view, sex, age and, where films are scored, severity."""
    rows = []
    for films, found in twin["subgroups"].items():
        words = {"tested mixture": "the mixture", "external": "hospitals never seen"}[films]
        for attribute, levels in found.items():
            for row in levels:
                n = " : ".join(map(str, row["n"]))
                rows.append(
                    [
                        words,
                        f"{attribute}: {row['level']}",
                        n,
                        *(interval(row, name) for name in ("auroc", "sensitivity", "specificity")),
                    ]
                )
    return table("films | of them | COVID : other | AUROC | sensitivity | specificity", rows)


WITHIN = "within covid-chestxray-dataset, against pneumonia"


def only(name: str) -> dict[str, Any]:
    """The one run of a file that `tools/measure_arms.py` has written."""
    (found,) = results(name).values()
    return found  # type: ignore[no-any-return]


def auroc(run: dict[str, Any], words: str) -> str:
    """Of a run that `tools/measure_arms.py` has measured, on such films."""
    found = run["auroc"][words]
    return interval({"value": found["value"], "value_95_ci": found["95_ci"]}, "value")


def trained_alone() -> str:
    """What the trainings are worth whose mean the twin is, each alone."""
    films = ("normal of shenzhen", "normal of montgomery", "tuberculosis of shenzhen")
    columns = [*(f"covid of hannover against {name}" for name in films), "tested mixture", WITHIN]
    runs = results("averaged")
    alone = [
        ", ".join(f"{runs[name]['auroc'][words]['value']:.3f}" for words in columns)
        for name in ("held-out", "shipped-appearance")
    ]
    return (
        "Hannover against healthy films of Shenzhen, of Montgomery, and tuberculosis of Shenzhen, the mixture, and pneumonia of one collection: the first training "
        f"alone has {alone[0]}, the second {alone[1]}."
    )


def trust_tables() -> str:
    """Before and after: probabilities corrected or not, answers always or only where one class is possible."""
    found = results("trust")
    calibrated = [
        [row["films"], row["n"], row["how"], f"{row['ece']:.3f}", f"{row['brier']:.3f}"] for row in found["calibration"]
    ]
    always = {films: rows[0]["balanced_accuracy"] for films, rows in found["risk"].items()}
    refusing = {
        films: next(r for r in rows if r["refused"] == 0.2)["balanced_accuracy"]
        for films, rows in found["risk"].items()
    }
    covered = [
        [
            row["films"],
            row["n"],
            interval(row, "covered"),
            interval(row, "answered"),
            interval(row, "wrong"),
            *(f"{shares[row['films']]:.3f}" if row["films"] in shares else "-" for shares in (always, refusing)),
        ]
        for row in found["coverage"]
    ]
    return "\n".join(
        (
            table("films | n | probability | ECE | Brier score", calibrated),
            "",
            table(
                f"films | n | the class is among the possible ones (promised {found['promised']}) | answered | of these wrong | "
                "balanced accuracy, answering always | the same, the least sure fifth refused",
                covered,
            ),
            "",
            f"The twin, {found['date'][:10]}, seed {found['seed']}, study `{found['study'][:12]}` (`tools/measure_trust.py`); ECE in ten bins of as many films.",
        )
    )


def write_measured() -> None:
    """Sensitivity and specificity of the held-out twins into the classifier's package: reports reckon with them."""
    twin = only("held-out")
    path = MODELS / "classifier" / "package.json"
    kept = ("n_positive", "n_negative", "sensitivity", "sensitivity_95_ci", "specificity", "specificity_95_ci")
    rows = {
        "another hospital's COVID-19 films against screening normals": point(
            twin, "covid of hannover against normal of shenzhen"
        ),
        "against other pneumonia, same collection": point(twin, WITHIN),
    }
    package = json.loads(path.read_text())
    package["measured"] = {
        "on": "its twins with held-out sources and patients, see the card",
        "date": twin["date"],
        "threshold": twin["balanced"]["threshold"],
        "rows": [{"films": words, **{name: row[name] for name in kept}} for words, row in rows.items()],
    }
    path.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n")


def point(run: dict[str, Any], films: str) -> dict[str, Any]:
    """What the balanced threshold does on such films."""
    return next(row for row in run["balanced"]["rows"] if row["films"] == films)


def lungs_table(measured: dict[str, Any]) -> str:
    """A row a rule and source: Dice with its tail, and both shares."""
    return table(
        "mask | films | n | Dice | 5th percentile | mean of the worst twentieth | share covered | worst twentieth | share inside",
        (
            [
                *(rule, name, found["n"], interval(dice := found["dice"], "mean")),
                *(f"{dice[key]:.3f}" for key in ("percentile_5", "worst_twentieth_mean")),
                *(interval(covered := found["covered"], "mean"), f"{covered['worst_twentieth_mean']:.3f}"),
                interval(found["inside"], "mean"),
            ]
            for rule, films in measured.items()
            for name, found in films.items()
        ),
    )


def traits_table(fold: dict[str, Any]) -> str:
    """What the pixels tell besides: how many of each kind are told, and how many others are taken for it."""
    rows = []
    for key, found in fold.items():
        kind = key.removeprefix("taken_for_")
        if kind in ("inverted", key):
            continue
        (other, others), (_, own) = sorted(
            ((name, v) for name, v in found.items() if isinstance(v, dict) and "share" in v),
            key=lambda item: item[0].lower() == kind,
        )
        rows.append([kind, own["n"], f"{own['share']:.1%}", other, others["n"], f"{others['share']:.1%}"])
    return table("warned of, or told | n | found | others | n | taken for it", rows)


def write_lungs_card() -> None:
    metrics, elsewhere, gate = results("lungs"), results("lungs-elsewhere"), results("gate")
    package = json.loads((MODELS / "lungs" / "package.json").read_text())
    config, fold = metrics["config"], package["provenance"]["gate"]["out_of_fold"]
    post, doubt = package["parameters"]["postprocess"], package["parameters"]["doubtful_below"]
    checked = fold["refused_by_frontal_check"].items()
    refused = {kind: v for kind, v in checked if isinstance(v, dict) and "share" in v}
    rates = table("kind | n | refused", ([kind, v["n"], f"{v['share']:.1%}"] for kind, v in refused.items()))
    by_source = gate["by_source"].items()
    whole = table("kind and source | n | refused", ([name, v["n"], f"{v['refused']:.1%}"] for name, v in by_source))
    (
        MODELS / "lungs" / "README.md"
    ).write_text(f"""# {package["name"]} {package["version"]}: lungs on frontal chest radiographs, as fields and whole

UNet with two masks at {config["input_size"]}x{config["input_size"]}: *fields*, the air-filled lung without the heart, for outline and areas, and *region*, the whole
lung with its opaque parts and what lies behind the heart, for what the classifier sees. Encoder {config["encoder"]} from ImageNet's weights, decoder of the paper's table 4 with
{config["base_channels"]} base channels. Each film teaches the mask that its readers drew by. Soft Dice loss, {config["optimization"]["epochs"]} epochs (best validation epoch kept), seed {config["optimization"]["seed"]};
trained {metrics["date"]}; data fingerprint `{metrics["data_fingerprint"][:16]}`. Command: `lunglens train lungs --config shipped`. Fields from a probability of {post["threshold"]} on,
the region from {post["region_threshold"]} on (chosen on the validation part).

## Intended use
Research on frontal chest radiographs of adults. Not a medical device, not for diagnosis. Measured areas are of the projected,
aerated lung as the tuberculosis sets' readers drew it, without the heart.

## Training data
{data_table(metrics["images"])}

Films came squashed to 512x512 (aspect lost). A minority of Shenzhen's masks include the heart shadow. Opacities, borders, tubes and marks were drawn into
films during training.

## Licence
Weights: research use, as the data allow:
{licences(metrics["images"])}

## Measured
At 512x512, each film by the rule that its mask is drawn by: *fields* are the air-filled lung without the heart, *region* the whole lung, its opaque
parts and what lies behind the heart too. Intervals are 95 % bootstrap by patient. Held-out patients:

{lungs_table(metrics["test"])}

A data set that it was not trained on; `lunglens evaluate lungs`, {elsewhere["date"]}:

{lungs_table(elsewhere["measured"])}

The gate (rules on the mask, then a logistic regression on this network's features). Share refused by the learned check out
of fold, {fold["refused_by_frontal_check"]["folds"]} folds by patient (`lunglens train gate`):

{rates}

{traits_table(fold)}

Polarity: {fold["taken_for_inverted"]["inverted"]["share"]:.1%} of {fold["taken_for_inverted"]["inverted"]["n"]} inverted films are recognised,
{fold["taken_for_inverted"]["film"]["share"]:.2%} of {fold["taken_for_inverted"]["film"]["n"]} others taken for inverted (out of fold).

The whole gate as shipped, over at most 200 films a source (`lunglens evaluate gate --per-source 200`, {gate["date"]}; its check was fitted on a part of these
films: the table above is the honest one for lateral and CT):

{whole}

## Limits
Of wholly opaque lungs a part is left out, most of all of children's: see the worst twentieth. A film whose map makes a Dice below {doubt[0]:.2f} (fields) or {doubt[1]:.2f} (region) likely
is warned of as doubtful. The gate refuses lateral views; children are answered, with a warning where the header gives the age or the pixels look like a child's.
Films that lie on their side are turned first (orientation package).
""")


def orientation_table(rates: dict[str, Any]) -> str:
    names = ("turned_found", "upright_taken_for_turned", "mirrored_found", "upright_taken_for_mirrored")
    return table(
        "films | n | turned: found | false | mirrored: found | false",
        ([name, v["n"], *(f"{v[key]:.1%}" for key in names)] for name, v in rates.items()),
    )


def whole_table(rates: dict[str, Any]) -> str:
    """Right, wrong and refused of films stored in each of the eight ways, summed over turned and mirrored ones."""
    kinds = {
        "upright": lambda way: way == "upright",
        "turned": lambda way: way.startswith("turned") and "mirrored" not in way,
        "mirrored": lambda way: way == "mirrored",
        "turned and mirrored": lambda way: way.startswith("turned") and "mirrored" in way,
    }
    rows = []
    for name, ways in rates.items():
        for kind, chosen in kinds.items():
            parts = [row for way, row in ways.items() if chosen(way)]
            n = sum(part["n"] for part in parts)
            shares = (f"{sum(part[key] for part in parts) / n:.1%}" for key in ("right", "wrong", "refused"))
            rows.append([name, kind, n, *shares])
    return table("films | stored | n | right | wrong | refused", rows)


def write_orientation_card() -> None:
    found, whole = results("orientation"), results("orientation-whole")
    package = json.loads((MODELS / "orientation" / "package.json").read_text())
    without = next(name for name in found if name.startswith("trained without"))
    images = table("source | films", found["images"].items())
    (
        MODELS / "orientation" / "README.md"
    ).write_text(f"""# {package["name"]} {package["version"]}: which way round a frontal chest radiograph lies

A small convolutional network scores how upright a film is, at {package["input_size"]}x{package["input_size"]}; it is asked about all eight orientations of it, so
mirror images get exactly opposite answers. {found["config"]["steps"]} batches of 64, seed {found["config"]["seed"]}. Trained {found["date"]} **on every source**; data fingerprint
`{found["data_fingerprint"][:16]}`. Command: `lunglens train orientation`. A film is called mirrored above log
odds of {found["mirrored_above"]}, turned above {found["config"]["turned_above"]}.

## Intended use
To turn a film before the other networks see it, where no header says how it lies, and to warn of a heart on the wrong side. It cannot
tell a mirrored film from dextrocardia, and never decides which side is which: left and right stay those of the usual display.

## Training data
{images}

Frontal films of adults, taken as upright and not mirrored as they were published. A few are not: looked at by eye, of the 29 films that
score highest as mirrored 5 are mirrored or have the heart on the right, and of the 9 that score highest as turned 4 lie upside down or on their side.

## Licence
Weights: research use, non-commercial, as the data demand:
{licences(found["images"])}

## Measured
Of patients not seen, {found["config"]["folds"]} folds by patient. "found": of the same films turned by 90, 180 or 270 degrees, or mirrored. "false": of the films as they
are, those that are truly mirrored among them.

{orientation_table(found["out_of_fold"] | {without: found[without]})}

The whole analysis (the gate must accept what was turned), films stored in all eight ways; `lunglens evaluate orientation`, {whole["date"]}. The
shipped network was trained on films of every source here but those called unseen.

{whole_table(whole["rates"])}

## Limits
Films of one lung that is opaque or collapsed, of children, and hearts in the middle are the hard ones. Not for lateral films.
""")


def severity_table(found: dict[str, Any], names: dict[str, str]) -> str:
    measures = ("pearson", "zone_kappa_quadratic", "zone_kappa_linear", "sum_kappa_quadratic", "zone_mae", "sum_mae")
    head = "| sum: correlation | zones: quadratic kappa | linear kappa | sum: quadratic kappa | zones: mean error | sum: mean error"
    # A radiologists' mean is no grade: a kappa with it would rest on how halves are rounded.
    cells = (
        [words, *("-" if "kappa" in m and name == "consensus" else interval(found[name], m) for m in measures)]
        for name, words in names.items()
    )
    return table(head, cells)


AUDITS = {
    "twin": "the twin of what ships",
    "paper-cut": "the paper's study, lungs",
    "paper-whole": "the paper's study, whole films",
    "tuberculosis-cut": "tuberculosis control, lungs",
}


def audit_table() -> str:
    """What each of the twelve tests found: a column a run."""
    found = {words: results(f"audit/{name}/audit") for name, words in AUDITS.items()}
    rows = []
    for number, test in enumerate(next(iter(found.values()))["tests"]):
        cells = []
        for one in found.values():
            of_run = one["tests"][number]
            value = "" if of_run["number"] is None else f" {of_run['number']:.3f}"
            low, high = of_run["interval"] or (None, None)
            cells.append(f"{of_run['verdict']}{value}{'' if low is None else f' ({low:.3f} to {high:.3f})'}")
        rows.append([f"{test['test']} {test['name']}", test["what"].partition(":")[0] or "-", *cells])
    rows.append(["AUROC of the run itself", "-", *(f"{one['auroc']:.3f}" for one in found.values())])
    about = "; ".join(f"{words}: {one['date']}, study `{one['fingerprint'][:12]}`" for words, one in found.items())
    seeds = sorted({one["seed"] for one in found.values()})
    said = f"`lunglens audit`, seed {', '.join(map(str, seeds))}. {about}."
    return f"{table(' | '.join(['test', 'number', *found]), rows)}\n\n{said}"


def heart_table() -> str:
    """How far the cardiothoracic ratio is from lines drawn by hand."""
    found = results("cardiothoracic")
    rows = [
        [
            f"{part} ({v['n']} films)",
            interval(v, "absolute"),
            interval(v, "off"),
            v["95_%_within"],
            v["correlation"],
            v["same_side_of_one_half"],
        ]
        for part, v in ((part, found[part]) for part in ("checked on", "chosen on"))
    ]
    head = "films | mean error | bias | 95 % within | correlation | on the same side of one half"
    return f"{table(head, rows)}\n\n`benchmarks/cardiothoracic.py`, {found['lungs']}, {found['date']}."


def places_table() -> str:
    """How well the grades of places point at radiologists' boxes and zones, and how well the heat does."""
    boxes, zones = results("severity-elsewhere")["boxes"], results("crossval/severity/metrics")["zones"]
    heat, opacity = results("heat-of-twin"), results("heat-of-opacity")
    hits = {
        "infiltrates": boxes["all"],
        "infiltrates, films that are called opaque": boxes["called"],
        "where infiltrates usually are (the mean of other patients' films)": boxes["usual"],
        "heat for COVID-19, of the twin": heat["boxes"]["all"],
        "heat for any opacity, of the twin": opacity["boxes"]["all"],
    }
    rows = [
        [words, v["n"], interval(v["hottest_pixel"], "hits"), interval(v["hottest_pixel"], "chance")]
        for words, v in hits.items()
    ]
    ranked = {
        "infiltrates": (zones, "correlation"),
        "the zones where disease usually lies": (zones, "usual_zones"),
        "heat for COVID-19, of the twin": (heat["zones"], "correlation"),
        "heat for any opacity, of the twin": (opacity["zones"], "correlation"),
    }
    ranks = [[words, of["n"], interval(of, measure)] for words, (of, measure) in ranked.items()]
    return "\n\n".join(
        (
            table("map | films with boxes | hottest place in a box | a place of the lungs at random", rows),
            table("map | films with scores | rank correlation with the zones' scores", ranks),
        )
    )


def write_severity_card() -> None:
    found, elsewhere = results("crossval/severity/metrics"), results("severity-elsewhere")
    package = json.loads((MODELS / "severity" / "package.json").read_text())
    names = {
        "consensus": "model, both radiologists' mean",
        "senior": "model, senior radiologist",
        "junior": "model, junior radiologist",
        "readers": "senior, junior radiologist",
    }
    ways = (
        [
            name,
            f"{v['pearson']:.3f} ({v['pearson_sd']:.3f})",
            *(f"{v[m]:.3f}" for m in ("spearman", "zone_mae", "sum_mae")),
        ]
        for name, v in found["ways"].items()
    )
    sums = (
        [name, v["n"], interval(v, "mean"), " to ".join(map(str, v["quartiles"][::2]))]
        for name, v in elsewhere["sums"].items()
    )
    settings = found["settings"]
    (
        MODELS / "severity" / "README.md"
    ).write_text(f"""# {package["name"]} {package["version"]}: how much of the lungs a COVID-19 pneumonia covers (Brixia score)

EfficientNet-Lite0 (ImageNet weights as published, not trained further) to its fifth stage, on the lungs' box at {package["input_size"]} px; its 112 maps are averaged in
six zones, each of our own lungs' masks in three equal heights, and one ridge regression gives each zone 0 to 3 from its own means and those of the whole
film. {package["provenance"]["films"]} films of {package["provenance"]["groups"]} patients, the mean of two radiologists as the target. Made {package["created"]}; data fingerprint `{package["provenance"]["data_fingerprint"]}`.
Commands: `lunglens crossval severity`, `lunglens train severity`.

## Intended use
Research on how such scores behave. **Not a medical device, not for diagnosis or triage.** It is shown beside the answer of the classifier of COVID-19 alone, whatever
that answer is, and means: if this is a COVID-19 pneumonia, two radiologists would have given about this score. For another disease, or for none, it means nothing.

## Training data
Films of covid-chestxray-dataset with the public Brixia scores of a senior (22 years) and a junior (2 years) radiologist. Mostly COVID-19, some of other pneumonia.

## Licence
Weights: research use, non-commercial, as the data demand:
{licences({"covid-chestxray-dataset": 0})}
- Brixia scores (Signoroni et al. 2021): CC BY-NC-SA 4.0
- EfficientNet-Lite0's ImageNet weights: Apache-2.0

## Measured
Out of fold: {settings["folds"]} folds by patient, copies of a film and films of one case kept together; the ridge's penalty chosen inside each training part. Intervals are 95 % bootstrap
by patient; rounded to whole grades for kappa.

{severity_table(found, names)}

The interval that is shown with a sum is the sum and {found["within"]:.1f} to either side: 95 % of the films lay in it, out of fold.

Ways that were tried on the same folds, drawn {settings["repeats"]} times (in brackets the standard deviation over the draws):

{table("way | sum: correlation | rank correlation | zones: mean error | sum: mean error", ways)}

Films of other collections, which nobody has scored, at most {max(v["n"] for v in elsewhere["sums"].values())} of each (`lunglens evaluate severity`, {elsewhere["date"]}):

{table("films | n | mean sum (95 %) | half of them", sums)}

Place by place: a round window for the zones (`lunglens evaluate severity --boxes`, boxes of the RSNA challenge on films of NIH, which it has never seen; zones out of fold):

{places_table()}

## Limits
Films of normal lungs get up to {max(v["mean"] for k, v in elsewhere["sums"].items() if k.endswith(" normal")):.1f} on average, by collection (above): a low sum is no sign of disease. Learned from few films of one collection, mostly pictures from journals. What the lungs' mask leaves out is not seen, so that wholly opaque zones are judged by what is left of
them. Rounded zones are nearer to the middle than radiologists' grades are.
""")


def purposes_before(measured: dict[str, Any]) -> str:
    """Films of other collections from before COVID-19: how many are called so, by source."""
    alarms = measured["at_threshold"]["false_alarms"]
    rows = ([name, v["n"], v["called"], interval(v, "share")] for name, v in alarms.items())
    return table("source | films | called COVID-19 | share", rows)


def decided_table(before: dict[str, Any], twin: dict[str, Any]) -> str:
    """Decisions with "cannot tell": how many films are decided on, and how many wrongly."""
    own = [row for row in twin["coverage"] if row["films"].count(":") == 1 and " of " not in row["films"]]
    rows = [*before["coverage"], *own]
    cells = (
        [row["films"], row["n"], *(interval(row, key) for key in ("covered", "answered", "wrong"))] for row in rows
    )
    return table("films | n | true class held possible | decided | decided wrongly", cells)


def boxes_said(boxes: dict[str, Any]) -> str:
    """Heat for COVID-19 in boxes of opacities of any kind."""
    heat, hottest = boxes["all"], boxes["all"]["hottest_pixel"]
    return (
        f"{interval(heat, 'heat_share')} of it lies in them, which cover {heat['area_share']:.3f} of the lung; the hottest point lies in one on "
        f"{interval(hottest, 'hits')} of the films, by chance on {hottest['chance']:.3f}."
    )


def write_classifier_card() -> None:
    twin, before, heat = only("held-out"), results("before-2019"), results("heat-of-twin")
    package_of_twin = results("held-out-package")
    write_measured()
    package = json.loads((MODELS / "classifier" / "package.json").read_text())
    trained, answer = package["provenance"], package["parameters"]["answer"]
    config, boxes, zones = trained["config"], heat["boxes"], heat["zones"]
    view, optimization = config["view"], config["optimization"]
    (
        MODELS / "classifier" / "README.md"
    ).write_text(f"""# {package["name"]} {package["version"]}: COVID-19 and any opacity on frontal chest radiographs

{config["backbone"]} (timm) from ImageNet's weights at {view["input_size"]}x{view["input_size"]}: the film at {view["film_size"]} px, so that films are more alike in sharpness, cut to the whole
lung and its box, intensities replaced by their rank inside the lung. Features are averaged inside the lung alone: no evidence, and no heat, comes from outside. Two answers: COVID-19, and
any opacity. The mean answer of {package["origin"]["members"]} networks, each trained {package["origin"]["averaged"]} times on all patients but those of its fold, with usual and with heavier changes of appearance; its weights are the mean of both trainings'
(batch normalisation relearned), stored as float16. {optimization["epochs"]} epochs of {config["images_per_epoch"]} draws each, seed {optimization["seed"]}, moving average of the weights. Trained {trained["date"]} **on every source**; study
`{package["origin"]["data"]["fingerprint"][:16]}`. Commands: `lunglens curate --config shipped`, `folds --folds 3`, `crossval classifier --config shipped` and `--config shipped-appearance`, `average`, `export --ensemble`, `tools/halve_package.py`. Threshold {answer["threshold"]} (where sensitivity + specificity is largest on
patients out of fold). The paper's network, HRNet, is `--classifier hrnet`; its card lies beside this one.

## Intended use
Research on how such models behave. **Not a medical device, not for diagnosis or triage.** The probability is calibrated out of fold with both classes weighing the same;
`--prevalence` moves it to yours, and both hold at most for films like those it was trained on. It says nothing of a film without visible
disease. A positive answer means "looks more like the COVID films of 2020's public collections than like the others".

## Training data
{folds_table(trained["images"])}

Left out: under 18, lateral, CT, labels on which sources disagree, negative PCR.

## Licence
Weights: research use, non-commercial, as the data demand:
{licences(trained["images"])}
- EfficientNet-Lite0's ImageNet weights: Apache-2.0

## Measured
**On its held-out twin, not on these weights**: nothing was left to measure a model on that has seen every source. The twin has the same
films, configurations (`held-out`, `shipped-appearance`) and folds, but never saw Hannover, Montgomery and Shenzhen, nor their patients elsewhere (180 of Hannover's 243
films are of patients with films in covid-chestxray-dataset, 92, or COVID-CXNet, 94, too, many of them copies; these were left out). Films of the mixture are answered by the one network that has not
seen their patient, films of the three hospitals by the mean of all three, as everybody's are by what ships. Trained {twin["date"]}, seed {twin["seed"]}, study `{twin["study"][:16]}`, balanced threshold
{twin["balanced"]["threshold"]} (of validation patients in each fold). Intervals are 95 % bootstrap by patient.

{classifier_table(twin)}

{trained_alone()}

Pairs come from different hospitals, so a part of what they show may still be the hospital; within one collection, against other pneumonia, that is no help, and there the model is weak.

**Films from before 2019, which cannot be COVID-19** (OpenIST: healthy adults; Kermany: children, of whom three in four have another pneumonia), by the twin's own threshold:

{purposes_before(before)}

What ships does not decide by the threshold alone: it says "cannot tell" where more than one class is possible (conformal, nine films in ten of each class promised). The same films, and those of hospitals never seen:

{decided_table(before, package_of_twin)}

Called COVID-19 by the threshold that finds 85 % of validation's COVID-19 films, each source weighing the same ({twin["threshold"]}):

{alarms_table(twin)}

By view, sex, age and severity (thirds of the radiologists' Brixia sums), at the balanced threshold; fewer than ten films of a class give no number:

{subgroups_table(twin)}

Heat of the twin, out of fold: in radiologists' boxes of opacities, {boxes["all"]["n"]} films of the RSNA challenge: {boxes_said(boxes)} Over the six zones of {zones["n"]} films with Brixia scores its
correlation with the scores is {interval(zones, "correlation")} (of the usual zones, without looking: {zones["usual_zones"]:.3f}).

## Limits
Prospective AUCs of such models are 0.70 to 0.90 where their authors reported above 0.95 (Sun et al. 2022, DeGrave et al.
2021). Expect less on your films. Labels are of collections and text mining, not of uniform PCR. Bedside films, tubes and
sickness differ between the classes; the cut, the low resolution and the rank equalisation remove only some of that. Which settings ship was chosen among others by the three pairs above (`results/arms.json`, `results/averaged.json`) and after a
look at OpenIST's false alarms, so that these flatter by a little.
""")


def fill(path: Path, name: str, content: str) -> None:
    """Replace what stands between the markers `<!-- name: ... -->` and `<!-- end of name -->`."""
    text = path.read_text()
    start = text.index("-->", text.index(f"<!-- {name}:")) + len("-->")
    end = text.index(f"<!-- end of {name} -->")
    path.write_text(f"{text[:start]}\n{content}\n{text[end:]}")


def explain(name: str, content: str) -> None:
    """The marked part `name` of the one page of docs/explanation/ that has it."""
    (page,) = (p for p in (ROOT / "docs" / "explanation").glob("*.md") if f"<!-- {name}:" in p.read_text())
    fill(page, name, content)


def write_readme_numbers() -> None:
    lungs, twin, speed = results("lungs"), only("held-out"), results("speed")
    dice = lungs["test"]["fields"]["all"]["dice"]
    folds, unseen = crossval("paper-cut")["pooled"], crossval("paper-cut")["external"]["all"]
    pairs = {
        "Hannover's COVID films against Shenzhen's normals (neither hospital seen)": "covid of hannover against normal of shenzhen",
        "... against Shenzhen's tuberculosis (not seen)": "covid of hannover against tuberculosis of shenzhen",
        "the public mixture, out of fold by patient (what papers print)": "tested mixture",
        "COVID against other pneumonia, same collection, out of fold by patient": WITHIN,
    }
    rows = []
    for words, key in pairs.items():
        rows.append(
            [f"COVID-19, AUROC: {words}", f"{auroc(twin, key)}, n = {' : '.join(map(str, twin['auroc'][key]['n']))}"]
        )
    before = results("before-2019")
    healthy = before["at_threshold"]["false_alarms"]["openist"]
    decided = next(row for row in before["coverage"] if row["films"] == "not covid of openist")
    found = next(
        row
        for row in results("held-out-package")["measured"]
        if row["films"] == "never trained on: covid of hannover, not covid of montgomery"
    )
    rows.append(
        [
            f"False alarms: {healthy['n']} films of healthy adults from before 2019 (OpenIST, never seen)",
            f"called COVID-19 {interval(decided, 'wrong')}, not decided {1 - decided['answered']:.3f}; by the threshold alone, which finds {found['sensitivity']:.3f} of Hannover's COVID-19, {interval(healthy, 'share')}",
        ]
    )
    fill(
        ROOT / "README.md",
        "numbers",
        f"""Measured on held-out patients, the classifier on the twin of the one that ships (same settings, three sources never seen); 95 % bootstrap intervals by patient; {twin["date"]}, seed {twin["seed"]},
data fingerprints `{lungs["data_fingerprint"][:12]}` (lungs), `{twin["study"][:12]}` (classifier).

{table("what | measured", rows)}
| The paper's recipe, AUROC: ten folds of its study, then {unseen["n"]:,} films of other collections | {interval(folds, "auroc")}, then **{interval(unseen, "auroc")}** |
| Lungs, Dice, {dice["n"]} films of Montgomery and Shenzhen | {interval(dice, "mean")}; median {dice["median"]:.3f}; 5th percentile {dice["percentile_5"]:.3f} |
| One film of 1955x1841, {speed["cores"]} cores, {speed["date"]} | {speed["shipped_ms"]:.0f} ms; {speed["ratio"]:.0f} times faster than the paper's sizes in eager torch; {speed["cold_start_to_first_answer_s"]:.1f} s from a cold start; {speed["peak_memory_mb"]} MB |""",
    )


def crossval(name: str, file: str = "metrics") -> Any:
    return results(f"crossval/{name}/{file}")


def write_gap() -> None:
    """The headline of the study of the paper: cross-validated against never seen, and the control."""
    runs = {
        "paper-cut": "COVID-19, the paper's recipe: films cut to the lungs",
        "paper-uncut": "COVID-19, whole films",
        "paper-cut-192": "the same at 192 px: films cut to the lungs",
        "paper-uncut-192": "the same at 192 px: whole films",
        "tb-shenzhen": "control: tuberculosis, both classes from Shenzhen; then Montgomery",
        "tb-montgomery": "control: tuberculosis, both classes from Montgomery; then Shenzhen",
    }
    rows = []
    for name, words in runs.items():
        metrics = crossval(name)
        sides = (metrics["pooled"], metrics["external"]["all"])
        rows.append([words, *(cell for v in sides for cell in (v["n"], interval(v, "auroc"), interval(v, "accuracy")))])
    run = crossval("paper-cut", "run")
    lines = [
        table(
            "trained and tested on | films | AUROC, ten folds | accuracy | films not trained on | AUROC | accuracy",
            rows,
        ),
        "",
        f"{run['model']} at {run['config']['view']['input_size']} px unless said, {run['config']['optimization']['epochs']} epochs, seed {run['seed']}, {run['date']}; study `{run['study']['fingerprint'][:12]}`, films of other collections `{run['unseen']['fingerprint'][:12]}`, by the mean answer of the ten folds' models; in brackets 95 % bootstrap intervals by patient, by film where nobody knows the patient.",
    ]
    rows = []
    cut, uncut = crossval("paper-cut")["external"], crossval("paper-uncut")["external"]
    for name, found in cut.items():
        if name == "covid19-radiography":
            ours = theirs = name
        elif name.startswith("covid of "):
            ours, theirs = name.removeprefix("covid of ").split(", non-covid of ")
        else:
            continue
        rows.append(
            [ours, theirs, found["n"], found["without_group"], interval(found, "auroc"), interval(uncut[name], "auroc")]
        )
    lines += [
        "",
        table("COVID of | non-COVID of | films | of unknown patients | AUROC, cut | AUROC, whole films", rows),
    ]
    explain("gap", "\n".join(lines))


def write_three_class() -> None:
    metrics, run = crossval("three-class"), crossval("three-class", "run")
    rows = []
    for name, found in {"all": metrics["pooled"], **metrics["by_source"]}.items():
        each = [interval(found["one_vs_rest"][kind], "auroc") for kind in run["classes"]]
        rows.append([name, found["n"], interval(found, "accuracy"), *each])
    lines = [
        table(
            "films | n | accuracy | covid against the rest | pneumonia against the rest | normal against the rest", rows
        ),
        "",
        f"AUROC; {len(run['folds'])} folds, {run['model']}, seed {run['seed']}, {run['date']}, study `{run['study']['fingerprint'][:12]}`.",
    ]
    explain("three-class", "\n".join(lines))


def write_baselines() -> None:
    found = crossval("compared", "comparison")
    models = []
    for run in found["runs"]:
        cells = [interval(run["pooled"], name) for name in ("accuracy", "sensitivity", "specificity", "auroc")]
        costs = [f"{run['parameters'] / 1e6:.1f} M", f"{run['gflops']:.2f}", f"{run['cpu_ms']:.0f} ms"]
        models.append([run["name"], *cells, *costs])
    pairs = []
    for pair in found["pairs"]:
        points = [
            f"{100 * pair[name]['value']:+.1f} ({100 * pair[name]['ci'][0]:+.1f} to {100 * pair[name]['ci'][1]:+.1f})"
            for name in ("accuracy", "auroc")
        ]
        counts = f"{pair['only_first']} : {pair['only_second']}"
        pairs.append([f"{pair['first']} - {pair['second']}", *points, counts, f"{pair['p_holm']:.4f}"])
    lines = [
        table("model | accuracy | sensitivity | specificity | AUROC | parameters | GFLOPs | CPU, a film", models),
        "",
        table("pair | accuracy, points | AUROC, points | only one right | McNemar p (Holm)", pairs),
    ]
    explain("baselines", "\n".join(lines))


def write_heat() -> None:
    heat = crossval("heat", "heat")
    sides = {"uncut": "whole films", "cut": "cut films"}
    rows, weights, brixia = [], [], []
    for name, part in {"all": heat["all"], **heat["classes"]}.items():
        for row, words in ((part[side], words) for side, words in sides.items()):
            hits = interval(row["hottest_pixel"], "hits")
            shares = [interval(row, "heat_share"), f"{row['area_share']:.3f}"]
            rows.append([name, words, *shares, hits, row["without_heat"]])
    for side, words in sides.items():
        for what, row in heat["weights"][side].items():
            weights.append([words, what, interval(row, "rank_correlation"), interval(row, "ssim")])
        row = heat["brixia"][side]
        own, usual = interval(row, "correlation"), f"{row['usual_zones']:.3f}"
        brixia.append([words, row["n"], own, usual, interval(row, "hottest"), f"{row['chance']:.3f}"])
    both, covid = heat["all"]["cut_less_uncut"], heat["classes"]["covid"]["cut_less_uncut"]
    lines = [
        table(
            "films | trained on | heat in the lungs | lungs of the film | hottest pixel in the lungs | films without heat",
            rows,
        ),
        f"Cut less whole, on the {both['n']} films where both have heat: {_signed(both)}; of the COVID films {_signed(covid)}.",
        table("trained on | randomised | rank correlation with the trained map | SSIM", weights),
        table(
            "trained on | films with Brixia scores | correlation over six zones | usual zones, without looking | hottest zone is the worst | by chance",
            brixia,
        ),
    ]
    explain("heat", "\n\n".join(lines))


def _signed(found: dict[str, Any]) -> str:
    low, high = found["difference_95_ci"]
    return f"{found['difference']:+.3f} ({low:+.3f} to {high:+.3f})"


def write_lung_folds() -> None:
    rows = []
    runs = {
        "lungs-lite0": "ten folds by patient, encoder from ImageNet",
        "lungs": "ten folds by patient",
        "lungs-128": "ten folds by patient",
        "lungs-cross-site": "trained on the other hospital only",
        "lungs-cross-site-128": "trained on the other hospital only",
    }
    for run, words in runs.items():
        metrics, config = crossval(run), crossval(run, "run")["config"]
        how = f"{words}, {config['input_size']} px, {config['optimization']['epochs']} epochs"
        parts = metrics["by_source"] if "cross-site" in run else {"all": metrics["pooled"], **metrics["by_source"]}
        for name, found in parts.items():
            dice = found["dice"]
            shares = [interval(dice, "mean"), f"{dice['median']:.3f}", f"{dice['percentile_5']:.3f}"]
            distances = [f"{found['hd95_px']['mean']:.1f}", f"{found['assd_px']['mean']:.2f}"]
            rows.append([how, name, dice["n"], *shares, *distances])
    head = "run | tested on | films | Dice | median | 5th percentile | HD95, px | surface distance, px"
    explain("lung-folds", table(head, rows))


def write_load() -> None:
    found = results("serve")
    plain = ("clients", "answers", "films_per_s")
    rows = []
    for row in found["load"]:
        times = [f"{row[name]:.2f} s" for name in ("p50_s", "p99_s")]
        rows.append([*(row[name] for name in plain), *times, f"{row['peak_mb']} MB", row["errors"], row["mixed_up"]])
    attack = found["hostile"]
    said = ", ".join(f"{n} times {code}" for code, n in attack["statuses"].items())
    lines = [
        table("clients | answers | films a second | p50 | p99 | peak memory | errors | mixed up", rows),
        "",
        f"{found['film']} for {found['seconds']:.0f} s each, as many analysing processes as cores (4 at most), {found['cores']} cores, {found['date']}. Then {attack['uploads']:,} hostile uploads: {said}; memory {attack['memory_before_mb']} MB before and {attack['memory_after_mb']} MB after; the next film was answered with {attack['next_film']}.",
    ]
    fill(ROOT / "docs" / "reference.md", "load", "\n".join(lines))


def write_speed() -> None:
    """Step by step before and after, other packages' networks, cores and machines."""
    steps, peers, growth = results("steps"), results("peers"), results("growth")
    before, after = (steps["trees"][f"tree {number}"] for number in (0, 1))
    ratio = steps["to the first"]["tree 1"]
    films = list(dict.fromkeys(name.partition(": ")[0] for name in after if ": " in name))
    parts = list(dict.fromkeys(name.partition(": ")[2] for name in after if ": " in name))

    def change(name: str) -> str:
        return f"{before[name]['median']:.3g} → {after[name]['median']:.3g} ({ratio[name]:.2f})"

    cells = ([part, *(change(f"{film}: {part}") for film in films)] for part in parts)
    by_film = table(" | ".join(["step", *films]), cells)
    others = (name for name in after if ": " not in name)
    rows = [[name, _spread(before[name]), _spread(after[name]), f"{ratio[name]:.2f}"] for name in others]
    jobs = "; ".join(
        f"{name.removesuffix(', films/s')}: {value}" for name, value in steps["jobs"].items() if "films/s" in name
    )
    about = f"Medians, and range, of {steps['rounds']} rounds that alternate, before → now (ratio), {steps['cores']} cores, {steps['date']} (`benchmarks/steps.py`; before: f982727). `analyze` of {steps['jobs']['films']} films, films a second: {jobs}."
    explain("steps", "\n".join([by_film, "", table("program | before | now | ratio", rows), "", about]))
    rows = []
    for name, found in peers["measured"].items():
        of = (("first_answer_s", "{:.1f} s"), ("film_ms", "{:.0f} ms"), ("peak_mb", "{:.0f} MB"))
        rows.append([name, f"{found['installed_mb']:,} MB", *(_beside(found, *each) for each in of)])
    about = f"{', '.join(peers['films'])}; {peers['rounds']} rounds that alternate, each in a fresh process, {peers['cores']} cores, {peers['date']} (`benchmarks/peers.py`). In brackets how often ours, median and range of the rounds. {peers['packages']}."
    head = "what | installed | from the start to the first answer | a film after it | most memory"
    explain("peers", "\n".join([table(head, rows), "", about]))
    rows = [[way, rate, growth["as_many_cores_would"].get(way, "")] for way, rate in growth["films_a_second"].items()]
    about = f"{growth['films']} copies of {growth['film']}, {growth['date']} (`benchmarks/growth.py`)."
    explain("growth", "\n".join([table("`predict` | films a second | if cores were all that counts", rows), "", about]))


def _spread(found: dict[str, float]) -> str:
    return f"{found['median']:.4g} ({found['least']:.4g} to {found['most']:.4g})"


def _beside(found: dict[str, Any], name: str, form: str) -> str:
    median, least, most = found[f"{name}_to_ours"]
    value = form.format(found[name])
    return value if least == most == 1 else f"{value} ({median:.1f}: {least:.1f} to {most:.1f})"


def write_ablation() -> None:
    rows = results("ablation")
    columns = list(next(iter(rows.values())))
    cells = ([name, *("-" if v is None else f"{v:.3f}" for v in values.values())] for name, values in rows.items())
    explain("ablation", table(" | ".join(["variant", *columns]), cells))


def _difference(tested: dict[str, Any] | None) -> str:
    if tested is None:
        return "-"
    low, high = tested["95_ci"] or (tested["value"], tested["value"])
    return f"{tested['value']:+.3f} ({low:+.3f} to {high:+.3f})"


def write_arms() -> None:
    """What each idea brings, one at a time; an arm's second seed stands below its first."""
    arms = {name.split("/")[-1]: arm for name, arm in results("arms").items()}
    order = list(arms)
    arms = dict(sorted(arms.items(), key=lambda item: (order.index(_first_seed(item[0], order)), item[0])))
    seeds = ", `-s2`: 2" if any(name.endswith("-s2") for name in arms) else ""
    about = (
        f"fold 0 of five, 15,000 draws, seed 1{seeds}, {dates(arms)} (`lunglens sweep arms` and `arms-data`, `tools/measure_arms.py`; joined: `tools/join_arms.py` and `lunglens average`). "
        "Called by the threshold that finds 85 % of validation's COVID-19 films."
    )
    explain("arms", arms_tables(arms, about, "Less the base of the same seed, trained on the same machine"))


def write_averaged() -> None:
    """The trainings of the twin of what ships, alone and averaged."""
    runs = results("averaged")
    about = f"three folds of 15,000 draws, seed 1, {dates(runs)} (`lunglens crossval classifier`, `lunglens average`, `tools/measure_arms.py`). Called as above."
    explain("averaged", arms_tables(runs, about, "Less the first training"))


def dates(runs: dict[str, Any]) -> str:
    """The first and the last day of the runs."""
    return " to ".join(dict.fromkeys(each(run["date"] for run in runs.values()) for each in (min, max)))


def arms_tables(arms: dict[str, Any], about: str, less: str) -> str:
    """Of runs that `tools/measure_arms.py` has measured: what each reaches, and how far it is from its base."""
    pairs = [
        f"covid of hannover against {films}"
        for films in ("normal of shenzhen", "normal of montgomery", "tuberculosis of shenzhen")
    ]
    columns = (*pairs, "tested mixture", WITHIN)
    head = [
        "arm",
        "Hannover : Shenzhen normal",
        ": Montgomery normal",
        ": Shenzhen tuberculosis",
        "the mixture",
        "against pneumonia, one collection",
    ]
    rows, differences = [], []
    for name, arm in arms.items():
        false = [
            arm["called"][f"normal of {source}"]["share"] for source in ("nih-chestxray14", "montgomery", "shenzhen")
        ]
        cells = (auroc(arm, words) for words in columns)
        rows.append([f"`{name}`", *cells, " / ".join(f"{share:.2f}" for share in false)])
        for base, found in arm.get("against", {}).items():
            cells = (_difference(found.get(words)) for words in columns)
            differences.append([f"`{name}`", f"`{base.split('/')[-1]}`", *cells])
    return "\n".join(
        [
            table(" | ".join([*head, "healthy films called COVID-19: NIH / Montgomery / Shenzhen"]), rows),
            "",
            f"AUROC, 95 % bootstrap intervals by patient; {about}",
            "",
            f"{less}, film by film (DeLong's test by patient; 95 % intervals):",
            "",
            table(" | ".join(["arm", "less", *head[1:]]), differences),
        ]
    )


def _first_seed(name: str, names: Sequence[str]) -> str:
    return name.removesuffix("-s2") if name.removesuffix("-s2") in names else name


def write_cures() -> None:
    """Cures against shortcuts: what each is worth where it was trained, and elsewhere."""
    rows = []
    sweep = json.loads((ROOT / "results" / "cures" / "sweep.json").read_text())["runs"]
    with tarfile.open(ROOT / "results" / "cures" / "runs.tar.xz") as packed:

        def read(swept: dict[str, Any], name: str) -> Any:
            return json.load(packed.extractfile(f"{swept['folder']}/{name}.json"))  # type: ignore[arg-type]

        for swept in sweep:
            found = read(swept, "metrics")
            elsewhere = found["external"]
            tested = (found["pooled"], elsewhere["all"], elsewhere["covid19-radiography"])
            rows.append([swept["study"], swept["label"], *(interval(films, "auroc") for films in tested)])
        run = read(sweep[0], "run")
    head = "study | training | its own films, not trained on | other collections | inside one of them, the Radiography Database"
    about = f"AUROC, 95 % intervals by patient; fold 0 of three, seed {run['seed']}, {run['date'][:10]} (`lunglens sweep cures`); of three classes the mean over those there are."
    explain("cures", "\n".join([table(head, rows), "", about, "", *_audited_cures(sweep)]))


def _audited_cures(sweep: list[dict[str, Any]]) -> list[str]:
    """The audit's tests that ask the trained network, a row a cure."""
    audit, rows = results("cures/audit"), []
    for swept in sweep:
        tests = audit["runs"][swept["folder"]]
        values = [interval({"n": tests[test]["number"], "n_95_ci": tests[test]["interval"]}, "n") for test in tests]
        rows.append([swept["study"], swept["label"], *values])
    head = "study | training | T7: source told by the features, AUROC | T9: against pneumonia inside one collection, AUROC | T10: decisions flipped by the worst edit | T11: heat in the lungs against their share"
    about = f"Tests T7, T9, T10 and T11 of `lunglens audit` on the same runs, seed {audit['seed']}, {audit['date']} (`tools/audit_cures.py`); T1 to T6, T8 and T12's trainings ask the study and not the cure. T7 among films of pneumonia (166, of which 23 of ten patients are covid-chestxray-dataset's); T9: 137 films against 23."
    return [table(head, rows), "", about]


def write_studies() -> None:
    rows = []
    for name in ("paper", "three-class", "tuberculosis"):
        data, folds = results(f"studies/{name}"), results(f"studies/{name}-folds")
        audit, leaks = data["confounding"], folds["split_by_image"]
        file = audit["metadata_auc"]["file"]
        films = " + ".join(f"{n} {label}" for label, n in data["per_class"].items())
        shares = [f"{audit['cramers_v']:.2f}", f"{audit['share_single_class']:.0%}", interval(file, "auc")]
        leak = f"{leaks['leaking']} of {leaks['patients']} with several films"
        rows.append([f"`{name}`", films, *shares, leak, f"`{data['study']['fingerprint'][:12]}`"])
    head = "study | films | Cramer's V | films from one-class sources | class guessed from the file alone, AUC | patients a split by image leaks | fingerprint"
    explain("studies", table(head, rows))


def write_duplicates() -> None:
    found = results("duplicates")
    planted = ([name, f"{values['found']:.1%}"] for name, values in found["planted"].items())
    index, phash, names = found["index"], found["index"]["equal_phash"], found["index"]["same_file_name_in_two_sources"]
    spanning, pairs = index["groups_spanning_sources"], index["pairs_found"]
    lines = [
        table("planted copy, 300 films, seed 1 | found", planted),
        "",
        f"{found['films']:,} films of seven sets, {found['seconds']:.0f} s on two cores that were busy with a training (2026-11-23). Against the index: "
        f"{phash['direct']} of {phash['pairs']} pairs of equal perceptual hash, {names['direct']} of {names['pairs']} pairs of the same file name in two sets, "
        f"{spanning['sources_joined_by_pixels']} of {spanning['groups']} groups that span sets. Of {pairs['in_index']} pairs found between films that the index "
        f"knows, {pairs['same_group']} are in one group of it and {pairs['other_group']} are not.",
    ]
    explain("duplicates", "\n".join(lines))


if __name__ == "__main__":
    write_gap()
    write_three_class()
    write_baselines()
    write_heat()
    write_lung_folds()
    write_load()
    write_speed()
    write_duplicates()
    write_studies()
    write_ablation()
    write_arms()
    write_averaged()
    write_cures()
    write_readme_numbers()
    write_lungs_card()
    write_orientation_card()
    write_severity_card()
    explain("places", places_table())
    explain("audit", audit_table())
    explain("heart", heart_table())
    explain("trust", trust_tables())
    write_classifier_card()
