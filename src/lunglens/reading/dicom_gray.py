"""Stored values of a DICOM file -> gray in 0..1, bright = dense: modality and VOI transformations, inversion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import UnreadableImageError
from lunglens.reading.dicom_file import number, value
from lunglens.reading.values import luma, scale


def to_gray(stored: NDArray[Any], dataset: Any, notes: list[str]) -> NDArray[np.float32]:
    """Stored values (H, W) or colour (H, W, 3) -> gray (H, W) in 0..1; adds to `notes`."""
    photometric = str(dataset.PhotometricInterpretation)
    if photometric in ("MONOCHROME1", "MONOCHROME2"):
        return _gray_values(stored, dataset, notes)
    from pydicom.pixels.processing import apply_color_lut

    palette = photometric == "PALETTE COLOR"
    colour = apply_color_lut(stored, dataset) if palette else stored
    notes.append(f"colour image ({photometric}) converted to gray")
    return luma(scale(colour, notes, None if palette else 2 ** int(dataset.BitsStored) - 1))


def _gray_values(stored: NDArray[Any], dataset: Any, notes: list[str]) -> NDArray[np.float32]:
    """Stored values (H, W) -> 0..1: the transformations act value by value, so they are worked out once a level."""
    low = int(stored.min())
    index = stored.astype(np.int32) - low
    levels = np.arange(low, int(stored.max()) + 1, dtype=np.float64)
    present = np.zeros(levels.size, np.bool_)
    present[index] = True
    padding = number(dataset, "PixelPaddingValue")
    if padding is not None:
        other = number(dataset, "PixelPaddingRangeLimit")
        ends = sorted((padding, padding if other is None else other))
        unpadded = present & ~((levels >= ends[0]) & (levels <= ends[1]))
        present = unpadded if unpadded.any() else present
    shown = _voi(_modality(levels, dataset, notes), present, dataset, notes)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        notes.append("MONOCHROME1 inverted")
        shown = 1 - shown
    return shown.astype(np.float32)[index]


def _modality(levels: NDArray[np.float64], dataset: Any, notes: list[str]) -> NDArray[np.float64]:
    """Modality LUT, or else rescale slope and intercept (PS3.3 C.11.1.1)."""
    item = value(dataset, "ModalityLUTSequence") and dataset.ModalityLUTSequence[0]
    if item:
        notes.append("modality LUT applied")
        return _look_up(levels, item, dataset)[0]
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope in (None, 0) and "RescaleSlope" in dataset:
        notes.append("RescaleSlope is not usable and was ignored")
    return levels * (slope or 1.0) + (intercept or 0.0)


def _voi(
    values: NDArray[np.float64], present: NDArray[np.bool_], dataset: Any, notes: list[str]
) -> NDArray[np.float64]:
    """VOI LUT, or else the window, or else min..max of the values present (PS3.3 C.11.2.1), as 0..1."""
    item = value(dataset, "VOILUTSequence") and dataset.VOILUTSequence[0]
    shown, source = None, ""
    if item:
        source = "VOI LUT"
        table, full_scale = _look_up(values, item, dataset)
        shown = np.clip(table / full_scale, 0, 1)
    elif "WindowCenter" in dataset or "WindowWidth" in dataset:
        shown, source = _window(values, dataset), "window"
    low, high = float(values[present].min()), float(values[present].max())
    # A window or LUT that shows every pixel alike is a mistake in the header, and would lose the image.
    if shown is not None and (np.ptp(shown[present]) > 0 or low == high):
        notes.append(f"{source} applied")
        return shown
    notes.append(f"{'unusable ' + source if source else 'no VOI LUT or window'}: scaled by minimum and maximum")
    return np.clip((values - low) / ((high - low) or 1.0), 0, 1)


def _window(values: NDArray[np.float64], dataset: Any) -> NDArray[np.float64] | None:
    """Window of PS3.3 C.11.2.1.2 and C.11.2.1.3 as 0..1; None where its width or centre is unusable."""
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    function = str(value(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
    if center is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500))))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float64)
    return np.clip((values - center) / width + 0.5, 0, 1)


def _look_up(values: NDArray[np.float64], item: Any, dataset: Any) -> tuple[NDArray[np.float64], float]:
    """Values through one LUT item (PS3.3 C.11.1.1.1, C.11.2.1.1), clamped at its ends; and its full scale."""
    entries, first, bits = (int(part) for part in item.LUTDescriptor)
    entries = (entries & 0xFFFF) or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        wide = "<u2" if dataset.original_encoding[1] else ">u2"
        data = np.frombuffer(data, "u1" if len(data) < 2 * entries else wide)
    table = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    if not table.size or not 8 <= bits <= 16:
        raise UnreadableImageError("its lookup table is damaged. Export the image again, without a lookup table.")
    index = np.clip(np.round(values) - first, 0, table.size - 1).astype(np.int64)
    # Some writers state 16 bits for a table of 12, or the reverse; the table's own top is then full scale.
    top, nominal = float(table.max()), float(2**bits - 1)
    return table[index], nominal if nominal / 2 < top <= nominal else max(top, 1.0)
