"""Made-up predictions of classifiers and of lungs, as cross-validation leaves them."""

import numpy as np
import pandas as pd

TWO = ("covid", "normal")


def predictions(
    films: int, classes: tuple[str, ...], folds: int = 1, external: int = 0, seed: int = 0, sharp: float = 1.5
) -> pd.DataFrame:
    """Two films a patient; every fold has every class; a third of the films is from source "both".

    The first class is otherwise of source "a", the others of "b"; external ones of hospitals 1, and 2 or 3.
    """
    generator = np.random.default_rng(seed)
    total = films + external
    truth = np.arange(total) // 2 % len(classes)
    scores = generator.normal(size=(total, len(classes)))
    scores[np.arange(total), truth] += sharp
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    inside = np.arange(total) < films
    number = np.arange(total) // (2 * len(classes)) % folds
    home = np.where(np.arange(total) // 2 % 3 == 0, "both", np.where(truth == 0, "a", "b"))
    away = np.where(truth == 0, "hospital 1", np.where(np.arange(total) % 3 == 0, "hospital 2", "hospital 3"))
    table = {
        "image_id": [f"film-{index}" for index in range(total)],
        "class": [classes[index] for index in truth],
        "source": np.where(inside, home, away),
        "group_id": [f"patient-{index // 2}" for index in range(total)],
        "fold": np.where(inside, number.astype(str), "external"),
    }
    return pd.DataFrame(table | {f"p_{name}": shares[:, index] for index, name in enumerate(classes)}).astype(
        {"source": object, "fold": object}
    )


def lung_predictions(films: int = 60, folds: int = 3, seed: int = 0) -> pd.DataFrame:
    """Lungs of two sources, of which one states its spacing; post-processing makes HD95 smaller and nothing else."""
    generator = np.random.default_rng(seed)
    dice = np.clip(generator.normal(0.96, 0.01, films), 0, 1)
    hd95 = generator.uniform(3, 8, films)
    known = np.arange(films) % 2 == 0
    table = pd.DataFrame(
        {
            "path": [f"/films/{index}.png" for index in range(films)],
            "source": np.where(known, "montgomery", "shenzhen"),
            "group_id": [f"patient-{index // 2}" for index in range(films)],
            "fold": (np.arange(films) % folds).astype(str),
            "mask_rule": "fields",
            "dice": dice,
            "iou": dice / (2 - dice),
            "covered": dice + 0.01,
            "inside": dice - 0.01,
            "expected_dice": dice - 0.02,
            "hd95_px": hd95,
            "assd_px": hd95 / 3,
            "hd95_mm": np.where(known, hd95 * 0.7, np.nan),
            "assd_mm": np.where(known, hd95 * 0.7 / 3, np.nan),
        }
    ).astype({"source": object, "fold": object, "mask_rule": object})
    for name in ("dice", "iou", "hd95_px", "assd_px", "hd95_mm", "assd_mm"):
        table[f"raw_{name}"] = table[name]
    table["raw_hd95_px"] += generator.uniform(0, 4, films)
    table["raw_dice"] += generator.normal(0, 0.002, films)
    return table
