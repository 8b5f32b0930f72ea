"""The configuration tree: the paper's values are the defaults, a TOML file changes what it names."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.study import StudyConfig
from lunglens.study.config.training import ClassifierConfig, LungsConfig


class Config(Section):
    """One file configures the whole study."""

    study: StudyConfig | None = None
    lungs: LungsConfig = LungsConfig()
    classifier: ClassifierConfig = ClassifierConfig()


def load_config(path: Path | None) -> Config:
    """Read a TOML configuration; `None` gives the paper's.

    Raises:
        ConfigurationError: the file is missing, not TOML, or names something unknown or out of range.
    """
    if path is None:
        return Config()
    try:
        with path.open("rb") as stream:
            return Config.model_validate(tomllib.load(stream))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"{path}: {problems}") from error
