"""Whatever a film may come as in Python -> `Radiograph`."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from lunglens.errors import NotAChestRadiographError, UnreadableImageError
from lunglens.film.language import say
from lunglens.film.radiograph import Radiograph, radiograph_from_array, read_radiograph
from lunglens.film.reading.raster import gray_values, orientation_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import Dataset


class _SupportsArray(Protocol):
    """What numpy makes an array of, such as a tensor of torch."""

    def __array__(self) -> NDArray[Any]: ...


Film: TypeAlias = Union[
    Radiograph, str, "PathLike[str]", bytes, bytearray, memoryview, IO[bytes], "Image", "Dataset", _SupportsArray
]


def to_radiograph(film: Film, spacing_mm: tuple[float, float] | None = None) -> Radiograph:
    """One film of any kind as a radiograph.

    Args:
        film: a path; the bytes of a file, or a file open for reading bytes; a picture of Pillow; a data set of pydicom;
            or an array, see `radiograph_from_array`, also of torch.
        spacing_mm: (row, column) pixel spacing, for an array.

    Raises:
        UnreadableImageError: it cannot be read as one radiograph.
        NotAChestRadiographError: it says of itself that it is something else.

    >>> to_radiograph(np.eye(64, dtype=bool)).pixels.max()
    np.float32(1.0)
    """
    if isinstance(film, Radiograph):
        return film
    given: Any = film
    if _is_file(film):
        return read_radiograph(given)
    if _is_of(film, "pydicom", "Dataset"):
        return read_radiograph(_file_of(given))
    if _is_of(film, "PIL", "Image"):
        return _from_picture(given)
    if hasattr(given, "detach"):
        given = given.detach().cpu()  # a tensor that has a gradient, or lies on another device, gives no array
    if not hasattr(given, "__array__"):
        raise UnreadableImageError(
            f"{type(film).__name__}: is no film. Give a path, bytes, an open file, a picture, a data set or an array."
        )
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UnreadableImageError(f"{type(film).__name__}: numpy makes no array of it ({error}).") from error
    return radiograph_from_array(array, spacing_mm)


def is_several(films: object) -> bool:
    """Whether this is an iterable of films, and not a film: an array is one unless it holds texts or other objects."""
    if hasattr(films, "__array__"):
        return getattr(getattr(films, "dtype", None), "kind", "f") in "OU"
    return isinstance(films, Iterable) and not _is_file(films) and not _is_of(films, "pydicom", "Dataset")


def _is_file(film: object) -> bool:
    """Whether it is a path, the bytes of a file, or an open one."""
    return isinstance(film, str | PathLike | bytes | bytearray | memoryview) or hasattr(film, "read")


def _is_of(film: object, package: str, name: str) -> bool:
    """Whether it is of a class, or one made of it, of a package that is not imported for the question."""
    return any((kind.__module__.partition(".")[0], kind.__name__) == (package, name) for kind in type(film).__mro__)


def _from_picture(picture: "Image") -> Radiograph:
    from PIL import ImageOps

    if getattr(picture, "n_frames", 1) != 1:
        raise NotAChestRadiographError("picture: it holds several frames. Give one.", "frames")
    notes: list[str] = []
    try:
        if (orientation := orientation_of(picture, notes)) != 1:
            picture = ImageOps.exif_transpose(picture)
            notes.append(say("EXIF orientation {orientation} applied", orientation=orientation))
        values = gray_values(picture, notes)
        return replace(radiograph_from_array(values), notes=tuple(notes))
    except UnreadableImageError as error:
        raise UnreadableImageError(str(error).replace("array: ", "picture: ")) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableImageError("picture: its pixels cannot be read. Save it again.") from error


def _file_of(dataset: "Dataset") -> bytes:
    """The data set as the bytes of a DICOM file, in its transfer syntax."""
    from copy import copy

    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    whole, stream = copy(dataset), BytesIO()
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", ExplicitVRLittleEndian)
    whole.file_meta, whole.preamble = FileMetaDataset(), bytes(128)
    whole.file_meta.TransferSyntaxUID = syntax
    try:
        dcmwrite(stream, whole)
    except Exception as error:  # of what a data set can hold, pydicom can write less
        raise UnreadableImageError("data set: pydicom cannot write it. Give the file.") from error
    return stream.getvalue()
