"""Learn the BSIF filters of `lunglens.train.systems.texture` from scikit-image's photographs (Kannala & Rahtu 2012).

    python tools/learn_bsif.py src/lunglens/train/systems/texture/bsif-11x11-8.npy

Patches of natural pictures, their mean removed, principal components to 8, whitened, independent components. Takes the
pictures that the wheel of scikit-image holds, so that nothing is fetched; the published filters' 13 are not to be had.
"""

import sys
from pathlib import Path

import numpy as np
from skimage import data
from skimage.color import rgb2gray
from sklearn.decomposition import FastICA

SIDE, FILTERS, PATCHES = 11, 8, 50_000
PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "coffee", "grass", "gravel", "moon", "rocket")


def patches() -> np.ndarray:
    """(50000, 121), equally many of every photograph, each of mean 0."""
    random = np.random.default_rng(0)
    pictures = [picture(name) for name in PHOTOGRAPHS]
    counts = [PATCHES // len(pictures) + (k < PATCHES % len(pictures)) for k in range(len(pictures))]
    found = []
    for gray, count in zip(pictures, counts, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(gray, (SIDE, SIDE))
        rows, columns = (random.integers(0, side, count) for side in windows.shape[:2])
        found.append(windows[rows, columns].reshape(count, -1))
    everything = np.concatenate(found)
    return everything - everything.mean(1, keepdims=True)


def picture(name: str) -> np.ndarray:
    """(H, W), 0..255."""
    found = getattr(data, name)()
    return rgb2gray(found) * 255 if found.ndim == 3 else found.astype(float)


def main() -> None:
    """Write (8, 11, 11) float32 filters of length 1, their signs and order fixed."""
    model = FastICA(FILTERS, whiten="unit-variance", max_iter=1000, tol=1e-5, random_state=0).fit(patches())
    filters = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)
    strongest = np.abs(filters).argmax(1)
    filters *= np.sign(filters[np.arange(FILTERS), strongest])[:, None]
    filters = filters[np.lexsort((strongest,))]
    np.save(Path(sys.argv[1]), filters.reshape(FILTERS, SIDE, SIDE).astype(np.float32))
    print(f"{FILTERS} filters of {SIDE}x{SIDE} from {PATCHES} patches of {', '.join(PHOTOGRAPHS)}")


if __name__ == "__main__":
    main()
