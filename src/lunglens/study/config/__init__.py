"""What one file configures: a study, and how its models are trained."""

from lunglens.study.config.tree import Config, config_path, load_config, shipped_configs, shipped_systems

__all__ = ["Config", "config_path", "load_config", "shipped_configs", "shipped_systems"]
