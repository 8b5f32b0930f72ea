"""Training: networks, losses, and what turns a study into a model package. Torch is imported here and nowhere else.

The names in `__all__` are the workbench for one's own code; each is imported when it is asked for.

>>> from lunglens.train import UNet
>>> sum(parameter.numel() for parameter in UNet().parameters())
7759521
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lunglens.train.crossval.classifier import crossval_classifier as crossval_classifier
    from lunglens.train.dataset import StudyDataset as StudyDataset
    from lunglens.train.fit import fit_classifier as fit_classifier
    from lunglens.train.losses import soft_dice as soft_dice
    from lunglens.train.losses import soft_dice_loss as soft_dice_loss
    from lunglens.train.measure import measure_package as measure_package
    from lunglens.train.networks.classifier import Classifier as Classifier
    from lunglens.train.networks.unet import UNet as UNet
    from lunglens.train.package_of_run import export_run as export_run

_HOMES = {
    "Classifier": "networks.classifier",
    "StudyDataset": "dataset",
    "UNet": "networks.unet",
    "crossval_classifier": "crossval.classifier",
    "export_run": "package_of_run",
    "fit_classifier": "fit",
    "measure_package": "measure",
    "soft_dice": "losses",
    "soft_dice_loss": "losses",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"lunglens.train has no {name}; it has {', '.join(__all__)}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
