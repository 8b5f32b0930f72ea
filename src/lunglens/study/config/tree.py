"""The configuration tree: the paper's values are the defaults, a TOML file and `--set` change what they name.

A table may begin with `extends = "NAME"`: it then takes what it does not say from the same table of the configuration
NAME, one that ships or a file beside it.
"""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.schema import tables_of
from lunglens.study.config.study import StudyConfig
from lunglens.study.config.system import SystemFacts
from lunglens.study.config.training import ClassifierConfig, LungsConfig

SHIPPED = Path(__file__).parents[2] / "configs"
SYSTEMS = SHIPPED / "systems"

_Tree = dict[str, Any]


class Config(Section):
    """What is studied and how models are trained; a file need not have all tables."""

    study: StudyConfig | None = None
    lungs: LungsConfig = LungsConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    system: SystemFacts | None = None


def shipped_configs() -> dict[str, Path]:
    """Name -> file of every configuration that ships, such as "paper"; the presets of earlier systems come last."""
    return {
        path.stem: path
        for folder in (SHIPPED, SYSTEMS)
        for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem)
    }


def shipped_systems() -> dict[str, Config]:
    """Preset -> configuration of the twelve earlier systems, in the order of the paper's table 1."""
    found = {path.stem: load_config(path) for path in SYSTEMS.glob("*.toml")}
    return dict(sorted(found.items(), key=_place_in_table_1))


def _place_in_table_1(item: tuple[str, Config]) -> tuple[int, bool, bool, str]:
    """By number; first what the first printed figure is of, last what stands in for weights that cannot be had."""
    name, config = item
    assert config.system is not None  # noqa: S101 - a preset says whose it is
    first = config.system.printed[0].presets
    return config.system.number, name.endswith("-lite"), name not in first[:1], name


def config_path(name: str | Path) -> Path:
    """The file that `name` means: a path, or the name of a configuration that ships."""
    path = Path(name)
    return path if path.is_file() else shipped_configs().get(str(name), path)


def load_config(name: str | Path | None, changes: Sequence[str] = (), seed: int | None = None) -> Config:
    """Read a TOML configuration and change it.

    Args:
        name: a path, the name of one that ships, or `None` for the paper's values.
        changes: "key=value" with a dotted key and a TOML value (a word needs no quotes), the last counts.
        seed: every seed of the configuration.

    Raises:
        ConfigurationError: the file is missing, not TOML, or names something unknown or out of range; so does a change.
    """
    content = {} if name is None else _content(config_path(name), ())
    seeds = [] if seed is None else [f"{key}={seed}" for key in _keys() if key.endswith(".seed")]
    for change in [*(line for line in seeds if "study" in content or not line.startswith("study.")), *changes]:
        _change(content, change)
    try:
        return _named(Config.model_validate(content), name)
    except ValidationError as error:
        problems = "; ".join(_words(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors())
        places = [*([str(config_path(name))] if name is not None else []), *(f"--set {change}" for change in changes)]
        raise ConfigurationError(f"{', '.join(places)}: {problems}") from error


def _named(config: Config, name: str | Path | None) -> Config:
    """A system's classifier is called what its preset is, where it has no name of its own."""
    if name is None or config.system is None or config.classifier.name:
        return config
    return config.model_copy(
        update={"classifier": config.classifier.model_copy(update={"name": config_path(name).stem})}
    )


def _content(path: Path, extended_by: tuple[Path, ...]) -> _Tree:
    """The file's tables, with what they extend.

    `extended_by`: the files on the way here; one of them again would be a circle.
    """
    if path.resolve() in extended_by:
        raise ConfigurationError(f"{path}: extends itself, through {', '.join(map(str, extended_by))}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        names = ", ".join(shipped_configs())
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); give the path of a TOML file, or one of {names}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error
    return _extended(content, (), path, (*extended_by, path.resolve()))


def _extended(table: _Tree, place: tuple[str, ...], path: Path, extended_by: tuple[Path, ...]) -> _Tree:
    """The table at `place`, every `extends` in it carried out."""
    base: Any = {}
    if "extends" in table:
        name = str(table["extends"])
        base = _content(config_path(path.parent / name if (path.parent / name).is_file() else name), extended_by)
        for key in place:
            base = base.get(key, {})
    own = {key: value for key, value in table.items() if key != "extends"}
    tables = {
        key: _extended(value, (*place, key), path, extended_by) for key, value in own.items() if isinstance(value, dict)
    }
    return _merged(base, own | tables)


def _merged(base: _Tree, changes: _Tree) -> _Tree:
    """Tables merge key by key; anything else, lists too, is replaced."""
    both = {key: _merged(base[key], value) for key, value in changes.items() if _is_table(base.get(key), value)}
    return base | changes | both


def _is_table(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


def _change(content: _Tree, change: str) -> None:
    key, equals, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not all((*tables, last)):
        raise ConfigurationError(f"--set {change}: write it as key=value, such as classifier.optimization.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word without quotes, which a shell takes away
    place = content
    for name in tables:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise ConfigurationError(f"--set {change}: {name} is no table; change a list as a whole")
    place[last] = value


def _words(place: tuple[int | str, ...], kind: str, message: str) -> str:
    """What is wrong and where; of an unknown key also the nearest that there is."""
    key = ".".join(map(str, place))
    if kind != "extra_forbidden":
        return f"{key}: {message}"
    named = ".".join(part for part in place if isinstance(part, str))
    near = get_close_matches(named, _keys(), n=1)
    return f"{key}: there is no such key{f'; did you mean {near[0]}?' if near else ''}"


def _keys() -> list[str]:
    """Dotted names of all keys, then of all tables."""
    tables = tables_of(Config)
    return [f"{table.name}.{key.name}" for table in tables for key in table.keys] + [table.name for table in tables]
