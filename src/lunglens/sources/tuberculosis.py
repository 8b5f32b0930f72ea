"""The two NLM tuberculosis sets with lung masks: Montgomery County and Shenzhen (Jaeger et al. 2014).

https://lhncbc.nlm.nih.gov/LHC-downloads/downloads.html - a file name ends in `_0` (normal) or `_1` (tuberculosis).
"""

from collections.abc import Iterator
from pathlib import Path

from lunglens.errors import DataError
from lunglens.manifest import Row, find_images
from lunglens.sources.source import Problems, Source


def montgomery(folder: Path, problems: Problems) -> Iterator[Row]:
    """138 films, `CXR_png/MCUCXR_*.png`, with one united mask each in `mask/`."""
    return _rows(folder, "montgomery", problems)


def shenzhen(folder: Path, problems: Problems) -> Iterator[Row]:
    """662 films, `CXR_png/CHNCXR_*.png`; 566 have a mask, `mask/<name>_mask.png` or `mask/<name>.png`."""
    return _rows(folder, "shenzhen", problems)


def _rows(folder: Path, source: str, problems: Problems) -> Iterator[Row]:
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


MONTGOMERY = Source(
    name="montgomery",
    title="Montgomery County chest X-ray set",
    read=montgomery,
    licence="public, research use",
    citation="Jaeger et al., Two public chest X-ray datasets, Quant Imaging Med Surg 2014 (doi:10.3978/j.issn.2223-4292.2014.11.20)",
    url="https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/Montgomery-County-CXR-Set",
    size="138 films, 138 pairs of lung masks, 0.6 GB",
    access="freely",
    hides="One clinic's screening films; the paper's plates are large (4020x4892) and look alike. Both classes come from "
    "the same place, so a score within it means something.",
)
SHENZHEN = Source(
    name="shenzhen",
    title="Shenzhen chest X-ray set",
    read=shenzhen,
    licence="public, research use",
    citation="Jaeger et al. 2014 (doi:10.3978/j.issn.2223-4292.2014.11.20); masks: Stirenko et al. 2018",
    url="https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/Shenzhen-Hospital-CXR-Set",
    size="662 films, 566 with a lung mask, 3.6 GB",
    access="freely; the masks are published apart",
    hides="Some masks include the heart; a few children. Both classes come from one hospital, so a score within it means "
    "something.",
)
