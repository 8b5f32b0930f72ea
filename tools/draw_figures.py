"""Draw the figures of results/ again from its numbers: `make figures`. What is drawn is not kept in git.

Learning curves are drawn where the logs of a run lie, which are not published.
"""

from pathlib import Path

from lunglens.evaluate.figures import table6, write_figures
from lunglens.evaluate.figures.comparison import write_comparison_figures
from lunglens.evaluate.run_record import ClassifierRun, read_run

RESULTS = Path(__file__).parents[1] / "results" / "crossval"


def main() -> None:
    for run in sorted(path.parent for path in RESULTS.glob("*/run.json")):
        print("\n".join(map(str, write_figures(run))))
        if isinstance(read_run(run), ClassifierRun):
            table6(run)
    print("\n".join(map(str, write_comparison_figures(RESULTS / "compared"))))


if __name__ == "__main__":
    main()
