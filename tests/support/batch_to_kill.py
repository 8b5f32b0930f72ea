"""`python -m tests.support.batch_to_kill FILMS OUT`: a batch with the stub for the models, for tests that kill it."""

import sys
from pathlib import Path

from lunglens.film.batch import AnalysisWriter, find_films, run_batch
from tests.support.stub import stub_analyzer


def main() -> None:
    """To the end, unless somebody kills it."""
    films, out = Path(sys.argv[1]), Path(sys.argv[2])
    run_batch(find_films([films]), out, stub_analyzer(), AnalysisWriter(), lambda _: None)


if __name__ == "__main__":
    main()
