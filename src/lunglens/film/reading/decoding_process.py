"""The decoding process itself: questions on its standard input, answers on its standard output, until it closes.

A question and an answer are each: two lengths, a JSON object, bytes. The first answer comes unasked: it has started.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lunglens.errors import LungLensError, UnreadableImageError
from lunglens.film.reading.apart import _HEADER, SECONDS
from lunglens.film.reading.decoders import decode_codestream
from lunglens.film.reading.raster import decode_picture

MEMORY_BYTES = 2 * 1024**3  # of addresses: ten times what a film of 4000 x 4000 px takes
_KINDS = {"picture": decode_picture, "codestream": decode_codestream}


def main() -> None:
    """Answer until there is nobody to ask."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints from C must not stand among the answers.
    os.dup2(2, 1)
    with suppress(AttributeError, ValueError):  # Ctrl-C is for the program, which closes the pipe
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    Image.preinit()  # before the first question comes
    with suppress(EOFError, BrokenPipeError):
        _tell(answers, {}, np.zeros(0, np.uint8))  # that it has started
        while True:
            _answer(questions, answers)


def _answer(questions: BinaryIO, answers: BinaryIO) -> None:
    length, size = _HEADER.unpack(_read(questions, _HEADER.size))
    question, data = json.loads(_read(questions, length)), _read(questions, size)
    _alarm(SECONDS)
    values, answer = _decoded(question, data)
    _alarm(0)
    _tell(answers, answer, values)


def _tell(answers: BinaryIO, answer: dict[str, Any], values: NDArray[Any]) -> None:
    text = json.dumps(answer).encode()
    answers.write(_HEADER.pack(len(text), values.nbytes) + text)
    answers.write(values.data if values.size else b"")
    answers.flush()


def _decoded(question: dict[str, Any], data: bytes) -> tuple[NDArray[Any], dict[str, Any]]:
    try:
        values, answer = _KINDS[question["kind"]](data, question["how"])
        values = np.ascontiguousarray(values)
        return values, answer | {"dtype": values.dtype.str, "shape": values.shape}
    except LungLensError as error:
        found: LungLensError = error
    except MemoryError:
        found = UnreadableImageError("decoding it takes too much memory. Export a smaller image.")
    except Exception:  # a decoder can throw anything at damaged data: struct.error, SyntaxError, OverflowError
        found = UnreadableImageError("it is damaged, truncated or of an unsupported kind. Copy or export it again.")
    return np.zeros(0, np.uint8), {"error": type(found).__name__, **vars(found), "text": str(found)}


def _read(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _alarm(seconds: int) -> None:
    """End this process when a decoder hangs, whoever is still there to see it (not on Windows)."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
