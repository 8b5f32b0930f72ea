"""Films that cannot be of COVID-19, for they were made before there was any: whatever is called so is a false alarm."""

from collections.abc import Sequence

import pandas as pd

from lunglens.film.model_package.record import COVID
from lunglens.study.sources import SOURCES


def before_covid(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Words -> rows of predictions of such films: all, and by source. Empty for other classes than covid or not."""
    if len(classes) != 2 or classes[0] != COVID:
        return {}
    films = predictions[predictions["source"].map(lambda name: name in SOURCES and SOURCES[name].before_covid)]
    by_source = {str(source): rows for source, rows in films.groupby("source", sort=True)}
    return {"all": films} | by_source if len(films) else {}
