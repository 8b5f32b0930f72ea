"""What calibration and "cannot tell" are worth on a run's films, on hospitals it has seen and on others.

python tools/measure_trust.py RUN --out results/trust.json
"""

import argparse
from pathlib import Path

from lunglens.evaluate.abstention import abstention_of_run
from lunglens.evaluate.predictions import read_predictions
from lunglens.evaluate.recalibration import calibration_rows
from lunglens.evaluate.run_record import read_classifier_run
from lunglens.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished `crossval classifier` of two classes")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    run = read_classifier_run(arguments.run)
    predictions = read_predictions(arguments.run / "predictions.csv", run.classes)
    found = {"date": run.date, "seed": run.seed, "study": run.study.fingerprint}
    found |= {"calibration": calibration_rows(predictions, run.classes)}
    found |= abstention_of_run(predictions, run.classes, run.seed)
    write_json(arguments.out, found)
    print(found)


if __name__ == "__main__":
    main()
