"""Input number N of a seed: which file it begins as, and what is done to it. Pure functions of the two numbers."""

import random
from dataclasses import dataclass

from tests.fuzz import dicom, jpeg, png, raw, tiff
from tests.fuzz.raw import Mutation
from tests.fuzz.seeds import seeds

_BY_FORMAT: dict[str, tuple[Mutation, ...]] = {
    "dicom": dicom.MUTATIONS,
    "png": png.MUTATIONS,
    "jpeg": jpeg.MUTATIONS,
    "tiff": tiff.MUTATIONS,
    "jsrt": raw.MUTATIONS,
}
RAW_SHARE = 0.2


@dataclass(frozen=True)
class Input:
    """number: of the input. kind: the seed file's name. mutations: their names. data: the file."""

    number: int
    kind: str
    mutations: tuple[str, ...]
    data: bytes


def fuzz_input(seed: int, number: int) -> Input:
    """The input: seed files take turns, each gets 1 to 3 mutations, a fifth of them blind to the format."""
    generator = random.Random(f"{seed} {number}")  # noqa: S311 - not for secrets
    names = list(seeds())
    kind = names[number % len(names)]
    data, done = seeds()[kind], []
    for _ in range(generator.choice((1, 1, 1, 2, 2, 3))):
        known = _BY_FORMAT[kind.partition(" ")[0]]
        mutation = generator.choice(raw.MUTATIONS if generator.random() < RAW_SHARE else known)
        data = mutation(data, generator)
        done.append(f"{mutation.__module__.rpartition('.')[2]}.{mutation.__name__}")
    return Input(number, kind, tuple(done), data)
