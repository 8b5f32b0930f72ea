"""`systems.html`: the table of a sweep as a page of its own, with its figure; no patient's film is on it."""

from pathlib import Path

from lunglens.evaluate.figures.systems import write_systems
from lunglens.evaluate.figures.systems.grids import grids_of
from lunglens.evaluate.figures.systems.write import headline
from lunglens.evaluate.systems.numbers import systems_of
from lunglens.files import write_bytes
from lunglens.study.report.pages import data_uri, environment


def write_systems_report(sweep: Path, out: Path, against: str | None = None) -> str:
    """Write `systems.json`, `.csv`, `.md`, `.tex`, `.svg`, `.png` and `.html` of a sweep's finished runs.

    Args:
        sweep: its folder.
        out: where the files go.
        against: see `systems_of`.

    Returns:
        how many runs are in it, in words.

    Raises:
        DataError: no run is finished, a run is damaged, or `against` is no model.
    """
    systems = systems_of(sweep, against)
    write_systems(systems, out)
    template = environment(__package__).get_template("systems.html.jinja")
    picture = data_uri(out / "systems.svg")
    page = template.render(systems=systems, said=headline(systems), grids=grids_of(systems), picture=picture)
    write_bytes(out / "systems.html", page.encode())
    return headline(systems)
