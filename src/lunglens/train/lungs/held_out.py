"""`lunglens train lungs`: one network, measured on patients it has not seen, and exported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lunglens.evaluate.run_record import Expected
from lunglens.evaluate.segmentation import measures_by_rule
from lunglens.files import save_csv, write_json
from lunglens.film.model_package.package import load_package, write_description
from lunglens.film.model_package.record import LungsParameters
from lunglens.film.parameters import Postprocess
from lunglens.study.config.training import LungsConfig
from lunglens.study.manifest import split_by_group
from lunglens.train.export import LungGraph, export_package
from lunglens.train.lungs.measure import as_written, measure_films
from lunglens.train.lungs.training import masked_films, train_lungs
from lunglens.train.networks.unet import UNet
from lunglens.train.precision import settled
from lunglens.train.provenance import provenance

# Of the whole lung: more of what is opaque is kept, at hardly any Dice (on validation films, docs/decisions.md).
_WHOLE = 0.35


def fit_lungs(data: Path, config: LungsConfig, out: Path, console: Console) -> None:
    """Train, export to `out/package`, measure the packaged model on the held-out patients into `out/metrics.json`.

    From these films the package also gets the expected Dice below which it warns.
    """
    table = masked_films(data, config)
    table["part"] = split_by_group(table, config.split)
    config = settled(config, out / "config.json", console)
    save_csv(table, out / "manifest.csv")
    write_json(out / "config.json", config.model_dump(mode="json"))
    unet = train_lungs(table, config, out)
    about = provenance(table, config.model_dump(mode="json"))
    export_lungs(unet, config, out / "package", config.called, about)
    found = measure_films(table[table["part"] == "test"], load_package(out / "package"), console)
    save_csv(found, out / "test.csv")
    measures = measures_by_rule(found)
    _set_doubt(out / "package", [measures[rule]["all"].expected if rule in measures else None for rule in config.masks])
    metrics = as_written(measures)
    write_json(out / "metrics.json", {**about, "test": metrics})
    console.print_json(data=metrics)


def export_lungs(unet: UNet, config: LungsConfig, folder: Path, name: str, about: dict[str, Any]) -> None:
    """Write a lungs package; where the network gives the whole lung itself, that is its region as it is.

    Args:
        unet: trained.
        config: of its training.
        folder: is created.
        name: of the model.
        about: where the weights come from.
    """
    whole = Postprocess(region="network", region_threshold=_WHOLE, dilation_iterations=0, closing_iterations=0)
    export_package(
        LungGraph(unet),
        folder,
        name=f"lungs-{name}",
        input_size=config.input_size,
        parameters=LungsParameters(
            masks=list(config.masks), postprocess=whole if "region" in config.masks else Postprocess()
        ),
        provenance=about,
    )


def _set_doubt(package: Path, expected: Sequence[Expected | None]) -> None:
    """Write into a package which expected Dice of each mask is doubtful; 0, which is never, where that is not known."""
    description = load_package(package).description
    below = [(found and found.doubtful_below) or 0.0 for found in expected]
    description["parameters"]["doubtful_below"] = below
    write_description(package, description)
