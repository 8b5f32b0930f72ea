"""Whether there is any opacity in the lungs of a film, as far as the data sets tell; unknown is not taught."""

import pandas as pd

from lunglens.errors import DataError
from lunglens.study.folder import Study

COLUMN = "opacity"
_YES, _NO, _UNKNOWN = "1", "0", ""
_OF_LABELS = {"covid": _YES, "pneumonia": _YES, "normal": _NO}
# What radiologists called NIH's films when they read them for RSNA's challenge.
_OF_RADIOLOGISTS = {"Lung Opacity": _YES, "No Lung Opacity / Not Normal": _NO, "Normal": _NO}
# Their pneumonia is mined from reports: of 287 such films that radiologists read, 163 show no opacity.
_MINED = ("nih-chestxray14", "chexpert")


def opacity_column(table: pd.DataFrame) -> pd.Series:
    """Of films with source and label: "1", "0" or "" (unknown); what radiologists called a film goes first."""
    found = table["label"].map(_OF_LABELS).fillna(_UNKNOWN)
    found = found.mask(table["source"].isin(_MINED) & (table["label"] == "pneumonia"), _UNKNOWN)
    if "radiologists" in table:
        found = table["radiologists"].map(_OF_RADIOLOGISTS).fillna(found)
    return found


def opacity_of(study: Study) -> pd.Series:
    """A study's column, by image_id.

    Raises:
        DataError: it has none, or knows of no film with or of none without opacity.
    """
    if COLUMN not in study.table:
        raise DataError(f"{study.folder}: does not tell opacity (its manifest has no such column): curate it again")
    found = study.table.set_index("image_id")[COLUMN].fillna(_UNKNOWN)
    if missing := {_YES, _NO} - set(found):
        raise DataError(f"{study.folder}: no film has the opacity {', '.join(sorted(missing))}; both must be taught")
    return found
