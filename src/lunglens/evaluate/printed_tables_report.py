"""The paper's printed figures recomputed, and where they disagree, as Markdown; the words lie in files beside this.

What the paper prints never changes: the recomputed tables stand in the template, and a test recomputes them.
"""

import tomllib
from importlib.resources import files

from pydantic import BaseModel

from lunglens.files import templates


class _Inconsistency(BaseModel):
    """One place where printed figures do not follow from each other or from the paper's definitions.

    place: where in the paper. printed, recomputed: the figures beside each other. finding: what that shows.
    """

    place: str
    printed: str
    recomputed: str
    finding: str


def paper_inconsistencies() -> list[_Inconsistency]:
    """Everything in tables 5 to 7, the abstract and the text that recomputing contradicts, in the paper's order."""
    content = tomllib.loads(files(__package__).joinpath("printed_tables.toml").read_text(encoding="utf-8"))
    return [_Inconsistency.model_validate(one) for one in content["inconsistency"]]


def paper_report() -> str:
    """The reconstructed folds, the averages, table 7 and the inconsistencies as Markdown."""
    template = templates(__package__).get_template("printed_tables.md.jinja")
    return template.render(inconsistencies=paper_inconsistencies()) + "\n"
