"""Copy what a package of a held-out twin says of itself into results/: what it is worth, false alarms, purposes.

python tools/publish_package.py TWIN --out results/held-out-package.json
"""

import argparse
from pathlib import Path

from lunglens.files import write_json
from lunglens.film.model_package.package import load_package


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    said = load_package(arguments.package, "classification").description
    told = {name: said["provenance"].get(name) for name in ("date", "coverage", "false_alarms", "purposes", "opacity")}
    told |= {"study": said["origin"]["data"], "answer": said["parameters"]["answer"]}
    write_json(arguments.out, told | {"measured": said["measured"]["rows"]})


if __name__ == "__main__":
    main()
