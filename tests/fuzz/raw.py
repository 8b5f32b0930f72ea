"""Mutations that know nothing of a format: flipped bits, cuts, insertions, extreme numbers."""

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]
EXTREMES = (0, 1, 2, 3, 63, 64, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


def apply(data: bytes, generator: random.Random, mutations: tuple[Mutation, ...]) -> bytes:
    """One of `mutations`, drawn by `generator`."""
    return generator.choice(mutations)(data, generator)


def flip_bits(data: bytes, generator: random.Random) -> bytes:
    """1 to 16 bits turned round."""
    changed = bytearray(data)
    for _ in range(generator.randrange(1, 17) if data else 0):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, generator: random.Random) -> bytes:
    """A short stretch of random bytes, zeros or ones, at the beginning more often than elsewhere."""
    at = _place(data, generator)
    stretch = generator.choice([generator.randbytes, bytes, lambda n: b"\xff" * n])(generator.randrange(1, 65))
    return data[:at] + stretch + data[at + len(stretch) :]


def cut_end(data: bytes, generator: random.Random) -> bytes:
    """Truncated anywhere."""
    return data[: generator.randrange(len(data) + 1)]


def cut_out(data: bytes, generator: random.Random) -> bytes:
    """A stretch left out."""
    at = _place(data, generator)
    return data[:at] + data[at + generator.randrange(1, 1 + max(len(data) // 8, 8)) :]


def insert(data: bytes, generator: random.Random) -> bytes:
    """Random bytes between."""
    at = _place(data, generator)
    return data[:at] + generator.randbytes(generator.randrange(1, 100)) + data[at:]


def repeat(data: bytes, generator: random.Random) -> bytes:
    """A stretch twice."""
    at = _place(data, generator)
    return data[: at + generator.randrange(1, 2000)] + data[at:]


def extreme_number(data: bytes, generator: random.Random) -> bytes:
    """An extreme 1, 2 or 4 byte number somewhere near the beginning."""
    size, at = generator.choice((1, 2, 4)), _place(data, generator)
    number = generator.choice(EXTREMES) % 256**size
    return data[:at] + number.to_bytes(size, generator.choice(("little", "big"))) + data[at + size :]


def zeroed_end(data: bytes, generator: random.Random) -> bytes:
    """Zeros from some place on, as after a crashed copy."""
    at = generator.randrange(len(data) + 1)
    return data[:at] + bytes(len(data) - at)


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    overwrite,
    cut_end,
    cut_out,
    insert,
    repeat,
    extreme_number,
    zeroed_end,
)


def _place(data: bytes, generator: random.Random) -> int:
    most = len(data) if generator.random() < 0.4 else min(len(data), 600)
    return generator.randrange(most + 1)
