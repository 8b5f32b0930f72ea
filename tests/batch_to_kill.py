"""`python -m tests.batch_to_kill FILMS OUT`: a batch with the stub for the models, for tests that kill it."""

import sys
from pathlib import Path

from lunglens.film.batch import AnalysisWriter, find_films, run_batch
from lunglens.film.model_package.package import load_package, shipped_models
from tests.stub import StubAnalyzer


def main() -> None:
    """To the end, unless somebody kills it."""
    films, out = Path(sys.argv[1]), Path(sys.argv[2])
    models = shipped_models()
    analyzer = StubAnalyzer(*(load_package(models / name) for name in ("lungs", "classifier", "orientation")))
    run_batch(find_films([films]), out, analyzer, AnalysisWriter(), lambda _: None)


if __name__ == "__main__":
    main()
