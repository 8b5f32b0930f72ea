"""The two NLM tuberculosis sets with lung masks: Montgomery County and Shenzhen (Jaeger et al. 2014).

https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html - a file name ends in `_0` (normal) or `_1` (tuberculosis).
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.manifest import Row, find_images


def montgomery(root: Path) -> Iterator[Row]:
    """138 films, `CXR_png/MCUCXR_*.png`, with one united mask each in `mask/`."""
    return _rows(root / "montgomery", "montgomery")


def shenzhen(root: Path) -> Iterator[Row]:
    """662 films, `CXR_png/CHNCXR_*.png`; 566 have a mask, `mask/<name>_mask.png` or `mask/<name>.png`."""
    return _rows(root / "shenzhen", "shenzhen")


def _rows(folder: Path, source: str) -> Iterator[Row]:
    masks = find_images(folder / "mask")
    for stem, path in find_images(folder / "CXR_png").items():
        mask = masks.get(stem) or masks.get(f"{stem}_mask")
        _, number, finding = _name_parts(path)
        yield Row(
            path=str(path),
            source=source,
            patient_id=number,
            group_id=f"{source}-{number}",
            view="PA",
            modality="X-ray",
            finding="tuberculosis" if finding == "1" else "normal",
            label="tuberculosis" if finding == "1" else "normal",
            mask_path=str(mask) if mask else None,
        )


def _name_parts(path: Path) -> tuple[str, str, str]:
    parts = path.stem.split("_")
    if len(parts) != 3 or parts[2] not in {"0", "1"}:
        raise DataError(f"{path}: the name should be like MCUCXR_0001_0 (0 normal, 1 tuberculosis)")
    return parts[0], parts[1], parts[2]
