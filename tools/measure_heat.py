"""Where the out-of-fold heat of a run lies: in radiologists' boxes of opacities, and over the Brixia zones.

python tools/measure_heat.py RUN STUDY --boxes BOXES.csv --brixia SCORES.csv [--opacity] --out results/heat-of-twin.json

--opacity: the heat of the second answer, that there is any opacity, in place of the first class's.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

from lunglens.evaluate.opacity import PROBABILITY
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.run_record import read_classifier_run
from lunglens.files import write_json
from lunglens.study.folder import load_study
from lunglens.train.boxes import boxes_of, heat_in_boxes
from lunglens.train.crossval.heat_of_run import brixia_of, heat_in_lungs, heat_table, lungs_of
from lunglens.train.crossval.oof_heatmaps import heat_maps, read_heat_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("--boxes", type=Path, required=True)
    parser.add_argument("--brixia", type=Path, required=True)
    parser.add_argument("--opacity", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    about, run, study = read_classifier_run(arguments.run), read_heat_run(arguments.run), load_study(arguments.study)
    lungs = lungs_of(study, run)
    drawn = heat_maps(run, lungs, of_opacity=arguments.opacity)
    maps = dict(track(drawn, "heat-maps", total=len(run.table), console=Console(stderr=True)))
    table = heat_table(run, maps, lungs)
    if arguments.opacity:
        predictions = read_predictions(arguments.run / "predictions.csv", about.classes).set_index("image_id")
        table["p"] = predictions.loc[table["image_id"], PROBABILITY].to_numpy(float)
    called = table.assign(called=table["p"] >= 0.5)
    found = {
        "date": about.date,
        "study": study.fingerprint,
        "lungs": heat_in_lungs(table, about.seed),
        "boxes": heat_in_boxes(called, maps, lungs, boxes_of(study, arguments.boxes), about.seed),
        "zones": brixia_of(study, table, maps, arguments.brixia, about.seed),
    }
    write_json(arguments.out, found)
    print(found)


if __name__ == "__main__":
    main()
