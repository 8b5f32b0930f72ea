"""Stored values of a DICOM file -> gray in 0..1, bright = dense: modality and VOI transformations, inversion."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lunglens.film.language import say
from lunglens.film.reading.dicom_file import note, number, numbers, photometric, value
from lunglens.film.reading.values import luma, scale

_LEAST_USED = 0.1  # of the scale, by a window that fits its film


def to_gray(stored: NDArray[Any], dataset: Any) -> NDArray[np.float32]:
    """Stored values (H, W) or colour (H, W, 3) -> gray (H, W) in 0..1."""
    kind = photometric(dataset)
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        return _gray_values(stored, dataset)
    from pydicom.pixels.processing import apply_color_lut

    colour = apply_color_lut(stored, dataset) if kind == "PALETTE COLOR" else stored
    note(dataset, say("colour image converted to gray"))
    return luma(scale(colour))


def _gray_values(stored: NDArray[Any], dataset: Any) -> NDArray[np.float32]:
    """Stored values (H, W) -> 0..1: the transformations act value by value, so they are worked out once a level."""
    low = int(stored.min())
    index = np.subtract(stored, low, dtype=np.intp)
    levels = np.arange(low, int(stored.max()) + 1, dtype=np.float64)
    counts = np.bincount(index.ravel(), minlength=levels.size)
    present = counts > 0
    padding, other = (_padding(dataset, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if padding is not None:
        ends = sorted((padding, padding if other is None else other))
        unpadded = present & ~((levels >= ends[0]) & (levels <= ends[1]))
        present = unpadded if unpadded.any() else present
    shown = _voi(_modality(levels, dataset), present, counts * present, dataset)
    if photometric(dataset) == "MONOCHROME1":
        note(dataset, say("MONOCHROME1 inverted"))
        shown = 1 - shown
    return np.asarray(shown.astype(np.float32)[index])


def _padding(dataset: Any, keyword: str) -> float | None:
    """A stored value; some writers state that of signed pixels as if it were unsigned, such as 32768 for -32768."""
    found = number(dataset, keyword)
    if found is None or number(dataset, "PixelRepresentation") != 1 or found < 2**15:
        return found
    return found - 2**16


def _modality(levels: NDArray[np.float64], dataset: Any) -> NDArray[np.float64]:
    """Modality LUT, or else rescale slope and intercept (PS3.3 C.11.1.1)."""
    table = _look_up(levels, "ModalityLUTSequence", dataset)
    if table is not None:
        note(dataset, say("modality LUT applied"))
        return table[0]
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0) and "RescaleSlope" in dataset:
        note(dataset, say("RescaleSlope is not usable and was ignored"))
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = levels * (slope or 1.0) + (intercept or 0.0)
        if np.isfinite(np.ptp(rescaled)):
            return rescaled
    note(dataset, say("RescaleSlope and RescaleIntercept are too large and were ignored"))
    return levels


def _voi(
    values: NDArray[np.float64], present: NDArray[np.bool_], counts: NDArray[np.intp], dataset: Any
) -> NDArray[np.float64]:
    """VOI LUT, or else a window, or else min..max of the values present (PS3.3 C.11.2.1), as 0..1.

    Where the header's choice would leave nothing to see, it is passed over: it belongs to other values than these.
    """
    table = _look_up(values, "VOILUTSequence", dataset)
    choices = [] if table is None else [("VOI LUT", np.clip(table[0] / table[1], 0, 1))]
    choices += [("window", _window(values, *window)) for window in windows(dataset)]
    for source, shown in choices:
        if _shows_something(shown, present, counts):
            note(dataset, say("window applied") if source == "window" else say("VOI LUT applied"))
            return shown
    stated = choices or any(name in dataset for name in ("WindowCenter", "WindowWidth", "VOILUTSequence"))
    fits_not = say("the header's VOI LUT or window does not fit the values")
    reason = fits_not if stated else say("no VOI LUT or window")
    note(dataset, say("{reason}: scaled by minimum and maximum", reason=reason))
    low, high = float(values[present].min()), float(values[present].max())
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def _shows_something(shown: NDArray[np.float64], present: NDArray[np.bool_], counts: NDArray[np.intp]) -> bool:
    """Whether the pixels use _LEAST_USED of the scale, and that share of them is neither black nor white."""
    between = counts[(shown > 0) & (shown < 1)].sum()
    return bool(np.ptp(shown[present]) >= _LEAST_USED and between >= _LEAST_USED * counts.sum())


def windows(dataset: Any) -> Iterator[tuple[float, float, str]]:
    """Center, width and function of each usable window: a header may name several (PS3.3 C.11.2.1.2)."""
    function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
    for center, width in zip(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"), strict=False):
        if width > 0 and (function != "LINEAR" or width >= 1):
            yield center, width, function


def _window(values: NDArray[np.float64], center: float, width: float, function: str) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500))))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)


class Table(NamedTuple):
    """A lookup table: its values, the value that the first one stands for, and of how many bits it is stated to be."""

    values: NDArray[np.float64]
    first: int
    bits: int

    @property
    def full_scale(self) -> float:
        """Some writers state 16 bits for a table of 12, or the reverse; then it is the table's own top."""
        top, nominal = float(self.values.max()), float(2**self.bits - 1)
        return nominal if nominal / 2 < top <= nominal else max(top, 1.0)


def first_table(dataset: Any, keyword: str) -> Table | None:
    """The first table of a sequence (PS3.3 C.11.1.1.1, C.11.2.1.1); None without one, and where it is damaged."""
    if keyword not in dataset:
        return None
    try:
        return _table(dataset[keyword][0], dataset)
    except Exception:  # absent or malformed elements: pydicom raises whatever conversion fails with
        note(dataset, say("{keyword} is damaged and was ignored", keyword=keyword))
        return None


def _table(item: Any, dataset: Any) -> Table:
    entries, first, bits = (int(part) for part in item.LUTDescriptor)
    entries = (entries & 0xFFFF) or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        wide = "<u2" if dataset.original_encoding[1] else ">u2"
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else wide)
    values = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not values.size or not 8 <= bits <= 16:
        raise ValueError("no lookup table")
    return Table(values, first, bits)


def _look_up(values: NDArray[np.float64], keyword: str, dataset: Any) -> tuple[NDArray[np.float64], float] | None:
    """Values through the first LUT of a sequence, clamped at its ends, and its full scale; None without one."""
    table = first_table(dataset, keyword)
    if table is None:
        return None
    index = np.clip(np.round(values) - table.first, 0, table.values.size - 1).astype(np.int64)
    return table.values[index], table.full_scale
