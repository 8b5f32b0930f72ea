"""Two small pictures and ways to make files of them, for the tests of reading."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.dicom_files import gradient

GRAY = (gradient(top=255)).astype(np.uint8)
DEEP = gradient(top=65535)


def saved(folder: Path, data: bytes, name: str = "image.bin") -> Path:
    """The path of a new file that holds `data`."""
    path = folder / name
    path.write_bytes(data)
    return path


def picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
