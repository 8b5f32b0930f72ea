"""What else ties films: the same patient, the same published case; and one group_id for all that is tied."""

from collections.abc import Hashable, Iterable
from itertools import pairwise
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# Pages of covid-chestxray-dataset are of 1 (259), 2 to 9 (29) or 46 patients: case series, and one whole collection.
MOST_PATIENTS_A_PAGE = 10
_NOT_THE_PAGE = {"lang", "report", "via", "fbclid", "gclid"}  # how it is shown, or where the reader came from


def tie_groups(table: pd.DataFrame, pairs: pd.DataFrame) -> "pd.Series[str]":
    """group_id of each row once all that is tied (by an equal group_id or by `pairs`, transitively) shares one.

    A group is named by its smallest group_id. "" stays where a film is tied to none that has a group_id.

    Args:
        table: columns path and group_id.
        pairs: columns first and second (paths), from `find_duplicates`.
    """
    count = len(table)
    row = pd.Series(np.arange(count), index=table["path"])
    names = table["group_id"].fillna("").astype(str)
    named, codes = np.flatnonzero(names != ""), pd.factorize(names[names != ""])[0]
    first, second = row.loc[pairs["first"]].to_numpy(), row.loc[pairs["second"]].to_numpy()
    # Each existing group is a node too, after those of the rows.
    start, end = np.concatenate([named, first]), np.concatenate([count + codes, second])
    nodes = count + (int(codes.max()) + 1 if len(codes) else 0)
    graph = coo_matrix((np.ones(len(start), bool), (start, end)), (nodes, nodes))
    component = pd.Series(connected_components(graph, directed=False)[1][:count], index=table.index)
    smallest = names[names != ""].groupby(component).min()
    return component.map(smallest).astype(object).where(lambda found: found.notna(), "").rename("group_id")


def patient_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Films of one source and patient, each with the next."""
    return _chained(zip(table["path"], table["source"], table["patient_id"].fillna(""), strict=True))


def case_pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Films of one case page in any source, each with the next.

    A page with more than MOST_PATIENTS_A_PAGE patients of one source (a collection, a big study) is no case and ties
    none; neither is a site's front page. Sources number the same patient differently, so they are counted apart.
    """
    pages = table["case_url"].fillna("").map(case_page)
    known = table.assign(page=pages)[pages != ""]
    patients = known.groupby(["page", "source"])["patient_id"].nunique().groupby("page").max()
    cases = known[known["page"].map(patients) <= MOST_PATIENTS_A_PAGE]
    return _chained(zip(cases["path"], cases["page"], cases["page"], strict=True))


def case_page(url: str) -> str:
    """The page that an address names, however written; "" for none and for a site's front page."""
    parts = urlsplit(url.strip().rstrip(";,. "))
    query = [(key, value) for key, value in parse_qsl(parts.query) if not _incidental(key)]
    path = parts.path.rstrip("/")
    if not parts.netloc or not (path or query):
        return ""
    return f"{parts.netloc.lower().removeprefix('www.')}{path}{'?' + urlencode(sorted(query)) if query else ''}"


def _incidental(key: str) -> bool:
    return key.partition("=")[0].lower() in _NOT_THE_PAGE or key.lower().startswith("utm_")


def _chained(films: Iterable[tuple[str, Hashable, str]]) -> list[tuple[str, str]]:
    """Consecutive paths (sorted) of the films whose key is equal; a film without a key is left out."""
    alike: dict[Hashable, list[str]] = {}
    for path, place, key in films:
        if key:
            alike.setdefault((place, key), []).append(path)
    return [pair for paths in alike.values() for pair in pairwise(sorted(paths))]
