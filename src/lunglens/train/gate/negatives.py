"""Images that are no good frontal films, drawn or made from films: what the gate learns to refuse or to warn of."""

import numpy as np
from scipy import ndimage

from lunglens.film.preprocess import Floats, film_square, resize


def synthetic(generator: np.random.Generator, size: int) -> Floats:
    """A random image without anatomy, (size, size), 0..1: noise of any colour, shapes, ramps, stripes, or a mixture."""
    makers = (_coloured_noise, _shapes, _ramp, _stripes)
    first, second = (makers[i](generator, size) for i in generator.integers(0, len(makers), 2))
    weight = generator.choice([1.0, 0.7, 0.5])
    return _unit(weight * first + (1 - weight) * second)


def spoiled(film: Floats, generator: np.random.Generator) -> Floats:
    """A film that must be refused as it is: on its side, shuffled in tiles, a small detail, or one half of the chest.

    The analysis turns a film that lies on its side before it is judged; this is what keeps a wrong turn from passing.
    """
    size = film.shape[0]
    kind = generator.integers(0, 4)
    if kind == 0:
        return np.ascontiguousarray(np.rot90(film, generator.choice([1, 3])))
    if kind == 1:
        return _shuffle_tiles(film, generator)
    if kind == 2:
        side = int(size * generator.uniform(0.12, 0.35))
        top, left = generator.integers(0, size - side, 2)
        return resize(film[top : top + side, left : left + side], size, size)
    half = film[:, : size // 2] if generator.random() < 0.5 else film[:, size // 2 :]
    return resize(half, size, size)


def badly_made(film: Floats, generator: np.random.Generator) -> dict[str, Floats]:
    """The film (S, S), 0..1, over-exposed, under-exposed, and with the patient moving, each as a film is read."""
    burnt = np.clip((film - generator.uniform(0.15, 0.4)) / 0.6, 0, 1) ** generator.uniform(1, 2)
    grain = generator.uniform(0.02, 0.06) * generator.standard_normal(film.shape)
    pale = np.clip(film * generator.uniform(1.3, 1.9), 0, 1) + grain
    length = film.shape[0] * generator.uniform(
        0.012, 0.03
    )  # of 256 px: 3 to 8, most often up and down, as one breathes
    moved = ndimage.uniform_filter1d(film, round(length), axis=int(generator.random() < 0.2))
    made = {"over-exposed": burnt, "under-exposed": pale, "moved": moved}
    return {name: film_square(np.asarray(image, np.float32), len(film)) for name, image in made.items()}


def _coloured_noise(generator: np.random.Generator, size: int) -> Floats:
    """Noise whose power falls as 1/f^k, k from 0 (white) to 3: k near 2 is what photographs have."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.standard_normal((size, size))) / frequency ** generator.uniform(0, 1.5)
    return _unit(np.fft.irfft2(spectrum, (size, size)))


def _shapes(generator: np.random.Generator, size: int) -> Floats:
    """Overlapping ellipses of random brightness, slightly blurred: limbs, slices, objects."""
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    image = np.full((size, size), generator.uniform(0, 0.3))
    for _ in range(generator.integers(1, 12)):
        centre, radii, angle = generator.uniform(0, 1, 2), generator.uniform(0.03, 0.5, 2), generator.uniform(0, np.pi)
        u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
        v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
        image[(u / radii[0]) ** 2 + (v / radii[1]) ** 2 < 1] += generator.uniform(-0.4, 0.8)
    return _unit(ndimage.gaussian_filter(image, generator.uniform(0, 3)))


def _ramp(generator: np.random.Generator, size: int) -> Floats:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    slope = generator.uniform(-1, 1, 5)
    return _unit(slope[0] * x + slope[1] * y + slope[2] * x * y + slope[3] * x**2 + slope[4] * y**2)


def _stripes(generator: np.random.Generator, size: int) -> Floats:
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    angle, pitch = generator.uniform(0, np.pi), generator.uniform(2, 60)
    wave = np.sin(2 * np.pi * pitch * (x * np.cos(angle) + y * np.sin(angle)))
    return _unit(wave if generator.random() < 0.5 else np.sign(wave))


def _shuffle_tiles(film: Floats, generator: np.random.Generator) -> Floats:
    size, tiles = film.shape[0], int(generator.choice([2, 4]))
    side = size // tiles
    image = film.copy()
    order = generator.permutation(tiles * tiles)
    while (order == np.arange(tiles * tiles)).all():  # an order that would leave the film as it is
        order = generator.permutation(tiles * tiles)
    for target, source in enumerate(order):
        (ty, tx), (sy, sx) = divmod(target, tiles), divmod(int(source), tiles)
        image[ty * side : (ty + 1) * side, tx * side : (tx + 1) * side] = film[
            sy * side : (sy + 1) * side, sx * side : (sx + 1) * side
        ]
    return image


def _unit(image: np.ndarray) -> Floats:
    low, high = image.min(), image.max()
    return np.asarray((image - low) / (high - low if high > low else 1), np.float32)
