"""The earlier systems of the paper's table 1: networks of their own, and what is fitted without a network.

Many of the twelve are a trunk and a head with settings of their own, and are configurations alone (`configs/systems`).
"""

from importlib import import_module

from lunglens.errors import ConfigurationError
from lunglens.study.config.training import ClassifierConfig
from lunglens.train.networks.network import Network

NETWORKS = {
    "trunk": ("lunglens.train.networks.classifier", "Classifier"),
    "anomaly": ("lunglens.train.systems.anomaly", "Anomaly"),
    "anomaly-confidence": ("lunglens.train.systems.anomaly", "AnomalyConfidence"),
    "covid-caps": ("lunglens.train.systems.covid_caps", "CovidCaps"),
    "covid-net": ("lunglens.train.systems.covid_net", "CovidNet"),
    "darkcovidnet": ("lunglens.train.systems.darkcovidnet", "DarkCovidNet"),
    "detrac": ("lunglens.train.systems.detrac", "Detrac"),
    "maghdid-cnn": ("lunglens.train.systems.maghdid", "MaghdidCnn"),
    "truncated-inception": ("lunglens.train.systems.truncated_inception", "TruncatedInception"),
}
FITTED = {  # each has `assert_can_train`, `train` and `load`, as lunglens.train.model
    "texture": "lunglens.train.systems.texture",
    "embedding": "lunglens.train.systems.embedding",
}


def network_of(config: ClassifierConfig, outputs: int) -> Network:
    """Build the network that a configuration describes, its weights at random.

    Args:
        config: `network`, `options`, and for a trunk `backbone`, `head`, `dropout`.
        outputs: 1 for two classes, else their number.

    Raises:
        ConfigurationError: there is no such network, or it has no such options.
    """
    if config.network not in NETWORKS:
        raise ConfigurationError(f"classifier.network {config.network!r} is none of {', '.join([*NETWORKS, *FITTED])}")
    if config.network == "trunk" and config.options:
        raise ConfigurationError(f"classifier.options: a trunk has none, so not {', '.join(config.options)}")
    assert_is_trunk(config)
    module, name = NETWORKS[config.network]
    network: Network = getattr(import_module(module), name).of(config, outputs)
    return network


def assert_is_trunk(config: ClassifierConfig) -> None:
    """Raise ConfigurationError where what only a trunk and head can do is asked of another network."""
    asked = (
        ("view.pool", config.view.pool, "all"),
        ("stride", config.stride, 32),
        ("opacity_loss", config.opacity_loss, 0),
        ("group_dro", config.group_dro, 0),
        ("decorrelate", config.decorrelate, 0),
        ("source_head", config.source_head, 0),
    )
    for key, value, usual in asked:
        if value != usual and config.network != "trunk":
            raise ConfigurationError(f"{key}: network {config.network} is no trunk and head; say {usual}")
