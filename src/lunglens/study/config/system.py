"""What was published of one of the twelve earlier systems that the paper compares itself with (its table 1)."""

from typing import Literal

from pydantic import Field

from lunglens.film.parameters import Section


class PrintedResult(Section):
    """One printed result; shares of 1, with the digits that were printed."""

    setting: str = Field(min_length=1, description="network, data and classes in a few words")
    presets: tuple[str, ...] = Field((), description="those of the system's presets that it is of; all if empty")
    classes: int = Field(2, ge=2, description="how many classes the figures are over")
    accuracy: float | None = Field(None, ge=0, le=1, description="as printed")
    sensitivity: float | None = Field(None, ge=0, le=1, description="as printed, of COVID")
    specificity: float | None = Field(None, ge=0, le=1, description="as printed, of everything else")
    auc: float | None = Field(None, ge=0, le=1, description="as printed")
    f1: float | None = Field(None, ge=0, le=1, description="as printed; `meaning` says of which classes")
    kappa: float | None = Field(None, ge=-1, le=1, description="agreement of two readers, weighted")
    test_images: int | None = Field(None, ge=1, description="images that the figures were counted on, if known")
    meaning: str = Field(min_length=1, description="what exactly the figures are, and on which data")


class SystemFacts(Section):
    """One of the twelve systems: who, what, how sure the build is, what was printed and what that means."""

    number: int = Field(ge=1, le=12, description="row of the paper's table 1")
    title: str = Field(min_length=1, description="short name of the system")
    authors: str = Field(min_length=1, description="of the publication")
    year: int = Field(ge=2017, description="of the publication")
    citation: str = Field(min_length=1, description="where it stands, with its doi or arXiv number")
    code: str = Field(min_length=1, description="what its authors published of it, and under which licence")
    kind: str = Field(min_length=1, description="what it is, in a few words")
    idea: str = Field(min_length=1, description="one sentence")
    began: Literal["imagenet", "none", "other films"] = Field(description="weights that the original started from")
    sureness: Literal["certain", "partly a reading", "a reading"] = Field(
        description="how much of what is built stands in the publication"
    )
    readings: tuple[str, ...] = Field((), description="what is a reading, and where ours must differ")
    printed: tuple[PrintedResult, ...] = Field(min_length=1)
    quoted: str = Field(min_length=1, description="what the paper's table 1 says of it")
    misquote: str = Field("", description="what of that is wrong, if anything")
    flaws: tuple[str, ...] = Field(min_length=1, description="why the printed figures cannot be held against ours")
    gap: str = Field("", description="where ours is far from what was printed: why")
    lesson: str = Field(min_length=1, description="what to learn from it")
    picture: tuple[tuple[str, ...], ...] = Field(
        min_length=2,
        description="steps from the film to the answer, each of blocks side by side, `name: detail`; = before what is "
        "fixed, - before what has no parameters",
    )

    def printed_of(self, preset: str, classes: int = 2) -> PrintedResult | None:
        """The first result that is of a preset, if there is one over so many classes."""
        own = [result for result in self.printed if not result.presets or preset in result.presets]
        return next((result for result in own if result.classes == classes), own[0] if own else None)
