"""The JSRT database's own format: 2048 x 2048 values of 12 bits, big-endian, no header; higher = darker.

http://db.jsrt.or.jp/eng.php - laser-digitized films with 0.175 mm pixels.
"""

import numpy as np
from numpy.typing import NDArray

SIDE_PX = 2048
SPACING_MM = 0.175
BITS = 12


def looks_like_jsrt(data: bytes) -> bool:
    """Whether the bytes can be such a film: exactly 8,388,608 of them, all values below 4096, not all the same.

    There is no signature to go by; other data of that size hardly ever keep the upper four bits of every value zero.
    """
    if len(data) != 2 * SIDE_PX * SIDE_PX:
        return False
    values = np.frombuffer(data, ">u2")
    return int(values.max()) < 2**BITS and int(values.min()) < int(values.max())


def read_jsrt(data: bytes) -> NDArray[np.float32]:
    """The values stored, float32 (2048, 2048): 0 is white, 4095 black."""
    return np.frombuffer(data, ">u2").reshape(SIDE_PX, SIDE_PX).astype(np.float32)
