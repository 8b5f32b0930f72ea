"""`lunglens doctor`: is all there that an analysis needs, and what else is installed?"""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

_EXTRAS = {"serve": "fastapi", "train": "torch", "cluster": "ray", "openvino": "openvino"}
_FREE_BYTES = 1 << 30
_AGAIN = "install LungLens again (pip install --force-reinstall)"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    name: what. good: whether an analysis can do with it; False is a fault. found: in words. advice: what to do where it
    is not good.
    """

    name: str
    good: bool
    found: str
    advice: str = ""


def examine() -> list[Check]:
    """Look at versions, models, decoders, cores and folders; nothing is left on disk."""
    looks: list[Callable[[], list[Check]]] = [_versions, _extras, _models, _decoders, _machine, _folders]
    return [check for look in looks for check in look()]


def lines_of(checks: list[Check]) -> list[str]:
    """A line a check, and one more with what to do where something is wrong."""
    width = max(len(check.name) for check in checks) + 2
    lines = [f"{'ok   ' if check.good else 'FAULT'} {check.name:{width}}{check.found}" for check in checks]
    advice = [f"{check.name}: {check.advice}" for check in checks if not check.good]
    return [*lines, *advice]


def _versions() -> list[Check]:
    packages = ("lunglens", "numpy", "onnxruntime", "pillow", "pydicom")
    return [Check("python", True, platform.python_version()), *(_version(name) for name in packages)]


def _version(package: str) -> Check:
    for name in (package, f"{package}-gpu"):  # onnxruntime-gpu stands in onnxruntime's place
        with suppress(PackageNotFoundError):
            return Check(name, True, version(name))
    return Check(package, False, "not installed", _AGAIN)


def _extras() -> list[Check]:
    return [
        Check(f"lunglens[{extra}]", True, "installed" if find_spec(module) else "not installed, and not needed here")
        for extra, module in _EXTRAS.items()
    ]


def _models() -> list[Check]:
    from lunglens.film.model_package.package import verify_folders

    return [
        Check(f"model {name}", not problems, "; ".join(problems) or "good", _AGAIN)
        for name, problems in verify_folders()
    ]


def _decoders() -> list[Check]:
    """A small picture through each of the decoders, in their process."""
    return [_decoder(*way) for way in (("JPEG 2000", "pillow"), ("JPEG 2000", "gdcm"), ("JPEG-LS", "pyjpegls"))]


def _decoder(kind: str, decoder: str) -> Check:
    import numpy as np

    from lunglens.film.reading.apart import decode_apart

    name = f"{kind} by {decoder}"
    values = np.arange(64 * 48, dtype=np.uint32).reshape(64, 48).astype(np.uint8)
    how = {"decoder": decoder, "kind": kind, "rows": 64, "columns": 48, "samples": 1, "bits": 8, "is_signed": False}
    try:
        if kind == "JPEG 2000":
            from PIL import Image

            file = BytesIO()
            Image.fromarray(values).save(file, "JPEG2000", irreversible=False, no_jp2=True)
            data = file.getvalue()
        else:
            import jpeg_ls

            data = bytes(jpeg_ls.encode_array(values))
        good = np.array_equal(decode_apart("codestream", data, how)[0], values)
        return Check(name, good, "decodes" if good else "decodes wrongly", _AGAIN)
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", _AGAIN)


def _machine() -> list[Check]:
    from lunglens.film.batch.processes import cores
    from lunglens.film.model_package.session import devices

    threads = os.environ.get("OMP_NUM_THREADS", "not set: as many as cores")
    return [
        Check("cores", True, f"{cores()} that this program may use"),
        Check("OMP_NUM_THREADS", True, threads),
        Check("devices", True, ", ".join(devices())),
    ]


def _folders() -> list[Check]:
    return [_folder("temporary folder", Path(tempfile.gettempdir())), _folder("current folder", Path.cwd())]


def _folder(name: str, folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(name, False, f"{folder}: {error.strerror}", "choose one that you may write to (TMPDIR, --out)")
    return Check(name, free >= _FREE_BYTES, f"{folder}: {free / (1 << 30):.1f} GiB free", "free a gigabyte")
