"""The models that answer a batch, loaded once in this process or once in each of several."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lunglens.film.about import PREVALENCE
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch.processes import work_off
from lunglens.film.batch.summary import SummaryRow
from lunglens.film.model_package.session import Device

Do = Callable[..., SummaryRow]  # of a task and `analyzer`; whatever goes wrong with its film is in the row
Work = Callable[[dict[str, Any]], Iterator[tuple[str, SummaryRow | None]]]


class Models(NamedTuple):
    """What `Analyzer.load` takes, and what can be sent to another process. None: the package that ships."""

    lungs: Path | None = None
    classifier: Path | None = None
    device: Device = "cpu"
    prevalence: float = PREVALENCE

    @classmethod
    def of(cls, analyzer: Analyzer) -> "Models":
        """Those that an analyzer has loaded."""
        lungs, classifier = analyzer.lungs, analyzer.classifier
        return cls(lungs.folder, classifier.folder, lungs.device, analyzer.prevalence)

    def load(self) -> Analyzer:
        """Them; errors as `Analyzer.load`."""
        return Analyzer.load(self.lungs, self.classifier, self.prevalence, self.device)


def worker(do: Do, analyzer: Analyzer, jobs: int) -> Work:
    """What works tasks off, here with one job, else in as many processes, which load the same packages."""
    if jobs == 1:
        return lambda left: ((key, do(task, analyzer=analyzer)) for key, task in left.items())
    return partial(work_off, begin=partial(begin, do, Models.of(analyzer)), jobs=jobs)


def begin(do: Do, models: Models) -> Callable[[Any], SummaryRow]:
    """In a process of its own: load the models that a task is done with."""
    return partial(do, analyzer=models.load())
