"""A sweep: many classifiers on many studies, each combination an ordinary run of `crossval classifier`."""

import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lunglens.errors import ConfigurationError
from lunglens.film.parameters import Section
from lunglens.study.config.tree import SHIPPED, Config, load_config

Shown = Literal["film", "lungs", "surroundings"]
# What of the film the network is shown; surroundings: the lungs are black.
_VIEWS = {
    "film": ("classifier.view.cut=false",),
    "lungs": ("classifier.view.cut=true",),
    "surroundings": ("classifier.view.cut=false", "classifier.view.blackout=true"),
}
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]


class _SweepStudy(Section):
    """A study that the systems are trained on; folders as from the current one. `inputs`: those asked for on it."""

    folder: Path
    test: Path | None = Field(None, description="a study curated apart from it, that every model is tested on")
    folds: tuple[str, ...] = Field((), description="those of its folds that are trained; all if none is given")
    inputs: tuple[Shown, ...] = ("film", "lungs", "surroundings")
    set: tuple[str, ...] = Field((), description="changes to the configuration of every system on this study")


class _SweepSystem(Section):
    """A classifier: a configuration and what is changed of it. `inputs` and `studies`: those it takes part in."""

    config: str = Field(min_length=1, description="name of one that ships, or a TOML file")
    name: _Name = Field("", validate_default=False, description="of its folders; the configuration's if not given")
    label: str = Field("", description="what tables call it; its name if not given")
    set: tuple[str, ...] = Field((), description="changes to the configuration, after those for all and for the study")
    inputs: tuple[Shown, ...] | None = None
    studies: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        table = {"config": given} if isinstance(given, str) else given
        return {"name": Path(str(table["config"])).stem, **table} if "config" in table else table


@dataclass(frozen=True)
class SweepRun:
    """One combination.

    study, system, shown, seed: which; seed is None where the configuration's own counts. folder: of the run, below the
    sweep's. label: what tables call the system. data, test: the folders of the studies. folds: of the study, all where
    there is none. config, changes: its settings.
    """

    study: str
    system: str
    shown: Shown
    seed: int | None
    label: str
    data: Path
    test: Path | None
    folds: tuple[str, ...]
    config: str
    changes: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Such as "paper/covid-caps-lungs-s1"."""
        return f"{self.study}/{self.system}-{self.shown}" + ("" if self.seed is None else f"-s{self.seed}")

    def load(self) -> Config:
        """Its configuration.

        Raises:
            ConfigurationError: there is none, or a change names something unknown or out of range.
        """
        return load_config(self.config, self.changes, self.seed)

    def command(self, out: Path, fold: str) -> str:
        """The line for a shell that trains one fold; whichever fold ends last puts the run together."""
        words = ["lunglens", "crossval", "classifier", str(self.data), "--config", self.config]
        words += [word for change in self.changes for word in ("--set", change)]
        words += [] if self.seed is None else ["--seed", str(self.seed)]
        words += [] if self.test is None else ["--test", str(self.test)]
        return shlex.join([*words, "--fold", fold, "--out", str(out / self.folder)])


class Sweep(Section):
    """Every system on every study with every input and seed."""

    systems: tuple[_SweepSystem, ...] = Field(min_length=1)
    studies: dict[_Name, _SweepStudy] = Field(min_length=1)
    inputs: tuple[Shown, ...] = Field(("film",), min_length=1)
    seeds: tuple[int, ...] = Field((), description="the configurations' own if none is given")
    set: tuple[str, ...] = Field((), description="changes to the configuration of all systems")

    @model_validator(mode="after")
    def _is_clear(self) -> "Sweep":
        names = [system.name for system in self.systems]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two systems are called {twice}; give one of them another `name`")
        if unknown := {name for system in self.systems for name in system.studies or ()} - set(self.studies):
            raise ValueError(f"a system takes part in {', '.join(sorted(unknown))}, which is none of `studies`")
        return self

    def runs(self) -> Iterator[SweepRun]:
        """All combinations: study after study, in each system after system, in the file's order."""
        for name, study in self.studies.items():
            for system in self.systems:
                if system.studies is not None and name not in system.studies:
                    continue
                inputs = self.inputs if system.inputs is None else system.inputs
                for shown in (shown for shown in inputs if shown in study.inputs):
                    for seed in self.seeds or (None,):
                        yield SweepRun(
                            study=name,
                            system=system.name,
                            shown=shown,
                            seed=seed,
                            label=system.label or system.name,
                            data=study.folder,
                            test=study.test,
                            folds=study.folds,
                            config=system.config,
                            changes=(*self.set, *study.set, *system.set, *_VIEWS[shown]),
                        )


def read_sweep(name: str) -> Sweep:
    """A sweep's file: a path, or the name of one that ships, such as "table1".

    Raises:
        ConfigurationError: it is missing, not TOML, or says something unknown or twice.
    """
    shipped = SHIPPED / "sweeps" / f"{name}.toml"
    path = shipped if not Path(name).is_file() and shipped.is_file() else Path(name)
    try:
        return Sweep.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        names = ", ".join(sorted(file.stem for file in shipped.parent.glob("*.toml")))
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give a TOML file, or {names}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'the sweep'}: {one['msg']}" for one in error.errors()]
        raise ConfigurationError(f"{path}: {'; '.join(problems)}") from error
