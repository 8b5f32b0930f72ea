"""The configuration tree: the paper's values are the defaults, a TOML file changes what it names."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.study import StudyConfig
from lunglens.study.config.training import ClassifierConfig, LungsConfig

SHIPPED = Path(__file__).parents[2] / "configs"


class Config(Section):
    """One file configures the whole study."""

    study: StudyConfig | None = None
    lungs: LungsConfig = LungsConfig()
    classifier: ClassifierConfig = ClassifierConfig()


def shipped_configs() -> dict[str, Path]:
    """Name -> file of every configuration that ships, such as "paper"."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def config_path(name: str | Path) -> Path:
    """The file that `name` means: a path, or the name of a configuration that ships."""
    path = Path(name)
    return path if path.is_file() else shipped_configs().get(str(name), path)


def load_config(name: str | Path | None) -> Config:
    """Read a TOML configuration: a path, the name of one that ships, or `None` for the paper's values.

    Raises:
        ConfigurationError: the file is missing, not TOML, or names something unknown or out of range.
    """
    if name is None:
        return Config()
    path = config_path(name)
    try:
        return Config.model_validate(_content(path))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"{path}: {problems}") from error


def _content(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        names = ", ".join(shipped_configs())
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); give the path of a TOML file, or one of {names}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error
