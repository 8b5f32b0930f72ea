"""What one file configures: a study, and how its models are trained."""

from lunglens.study.config.tree import Config, load_config

__all__ = ["Config", "load_config"]
