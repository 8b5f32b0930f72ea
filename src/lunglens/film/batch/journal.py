"""What a batch has done, a line an event, so that a killed one goes on; and so which files of a folder are results.

A line is either {"name": ..., "film": ...}: this name is given to the results of this film; or {"done": key,
"outcome": ...}. Any other line, torn or from another version, is passed over: its film is done again.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from lunglens import files
from lunglens.film.batch.names import SUFFIXES, same_name
from lunglens.film.batch.summary import SummaryRow

JOURNAL = ".lunglens-journal.jsonl"


class _Name(BaseModel):
    name: str
    film: str


class _Done(BaseModel):
    done: str
    outcome: SummaryRow


_LINE: TypeAdapter[_Name | _Done] = TypeAdapter(_Name | _Done)


class Journal:
    """The journal of a folder of results, or of a table.

    outcomes: by key. names: name of results -> the film that it was given to, "" where that is unknown.
    unmarked: names that version 0.1.0 may have used, which wrote no names here and no marks into its pictures.
    """

    def __init__(self, file: Path) -> None:
        """Read it; one that is not there is empty.

        Raises:
            OSError: it is there and cannot be read.
        """
        self._file = files.Journal(file)
        self.outcomes: dict[str, SummaryRow] = {}
        self.names: dict[str, str] = {}
        self.unmarked: set[str] = set()
        for line in self._file.entries:
            try:
                entry = _LINE.validate_json(line)
            except ValidationError:
                continue
            if isinstance(entry, _Name):
                self.names[entry.name] = entry.film
            else:
                self.outcomes[entry.done] = entry.outcome
                name = _name_of(entry.outcome.result)
                if name and name not in self.names:
                    self.names[name] = ""
                    self.unmarked.add(name)

    def claim(self, names: Mapping[str, str]) -> None:
        """Give names to films, before the first file of such a name is written."""
        new = {name: film for name, film in names.items() if self.names.get(name) != film}
        self._file.append(*({"name": name, "film": film} for name, film in new.items()))
        self.names.update(new)

    def done(self, key: str, outcome: SummaryRow) -> None:
        """Note a film's outcome; a loss of power may undo the last ones, which are then done again."""
        self._file.append({"done": key, "outcome": asdict(outcome)}, sync=False)
        self.outcomes[key] = outcome


def unmarked_files(folder: Path) -> set[str]:
    """Names (`same_name`) of a folder's files that a batch may have written without a mark; none without a journal."""
    try:
        names = Journal(folder / JOURNAL).unmarked
    except OSError:
        return set()
    return {same_name(name + suffix) for name in names for suffix in SUFFIXES}


def _name_of(result: str) -> str:
    result = result.rpartition("/")[2]
    return next((result.removesuffix(suffix) for suffix in (".json", ".lungs.png") if result.endswith(suffix)), "")
