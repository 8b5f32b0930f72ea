"""How many numbers a network learns, without making them."""

import torch

from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.weights import freeze
from lunglens.train.systems import NETWORKS, network_of


def parameters_of(config: ClassifierConfig, outputs: int = 1) -> tuple[int, int] | None:
    """Parameters of a classifier's network, and how many of them are not frozen; None where there is no network.

    Args:
        config: what is built; its weights are neither made nor loaded.
        outputs: 1 for two classes, else their number.
    """
    if config.network not in NETWORKS:
        return None
    with torch.device("meta"):
        network = network_of(config, outputs)
    freeze(network, config.freeze)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, learns in sizes if learns)
