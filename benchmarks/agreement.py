"""Do two tables of `lunglens predict` say the same of the same films?

    python benchmarks/agreement.py BEFORE.csv AFTER.csv --out results/agreement-NAME.json

Of another state of the program, of other packages, or of another machine. Films are compared row by row.
"""

import argparse
from pathlib import Path

import pandas as pd

from lunglens.files import write_json
from lunglens.train.provenance import today


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    before, after = (pd.read_csv(path, keep_default_na=False) for path in (arguments.before, arguments.after))
    if list(before["path"]) != list(after["path"]):
        raise SystemExit("the tables are not of the same films")
    said, says = (table["decision"].replace("", "none") for table in (before, after))
    found = {
        "date": today(),
        "films": len(before),
        "status_differs": int((before["status"] != after["status"]).sum()),
        "decision_differs": int((said != says).sum()),
        "decisions": {f"{one}, then {other}": int(n) for (one, other), n in said.groupby([said, says]).size().items()},
        "probabilities": {name: _differences(before[name], after[name]) for name in before if name.startswith("p_")},
    }
    write_json(arguments.out, found)
    print(arguments.out.read_text())


def _differences(before: pd.Series, after: pd.Series) -> dict[str, float]:
    away = (pd.to_numeric(before, "coerce") - pd.to_numeric(after, "coerce")).abs()
    found = {"mean": away.mean(), "99th percentile": away.quantile(0.99), "largest": away.max()}
    return {name: round(float(value), 6) for name, value in found.items()}


if __name__ == "__main__":
    main()
