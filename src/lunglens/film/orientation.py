"""How a film's stored pixels are turned into the usual display: the patient's right on the image's left, head up."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lunglens.film.language import say

# The patient's axis along which each direction of PatientOrientation points (PS3.3 C.7.6.1.1.1).
_AXIS = {"L": "side", "R": "side", "H": "height", "F": "height", "A": "depth", "P": "depth"}


@dataclass(frozen=True)
class Orientation:
    """Turn clockwise by `quarter_turns` (0..3) times 90 degrees, then, if `mirrored`, swap left and right."""

    quarter_turns: int = 0
    mirrored: bool = False

    def __post_init__(self) -> None:
        """Refuse turns outside 0..3, so that equal orientations compare equal."""
        if self.quarter_turns not in range(4):
            raise ValueError(f"{self.quarter_turns} quarter turns; give 0 to 3")

    def apply(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored pixels (H, W, ...) as they are displayed: (H, W, ...), or (W, H, ...) after an odd number of turns.

        >>> Orientation(quarter_turns=1).apply(np.array([[1, 2], [3, 4]]))
        array([[3, 1],
               [4, 2]])
        """
        turned = np.rot90(stored, -self.quarter_turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def undo(self, displayed: NDArray[Any]) -> NDArray[Any]:
        """Displayed pixels as they are stored: the inverse of `apply`, exactly."""
        turned = displayed[:, ::-1] if self.mirrored else displayed
        return np.ascontiguousarray(np.rot90(turned, self.quarter_turns))

    def then(self, other: "Orientation") -> "Orientation":
        """This orientation and after it the other one, as one."""
        # A turn after a mirror is the opposite turn before it.
        turns = -other.quarter_turns if self.mirrored else other.quarter_turns
        return Orientation((self.quarter_turns + turns) % 4, self.mirrored != other.mirrored)

    def inverse(self) -> "Orientation":
        """The orientation that `undo` applies."""
        return self if self.mirrored else Orientation(-self.quarter_turns % 4)

    @property
    def words(self) -> str:
        """What is done to the stored pixels: "turned by 90 degrees clockwise and mirrored"; "" for nothing."""
        turned = _TURNED[self.quarter_turns]
        if self.mirrored:
            return say("{turned} and mirrored", turned=turned) if turned else say("mirrored")
        return turned


_TURNED = (
    "",
    say("turned by 90 degrees clockwise"),
    say("turned by 180 degrees"),
    say("turned by 90 degrees counterclockwise"),
)
AS_STORED = Orientation()
ALL_ORIENTATIONS = tuple(Orientation(turns, mirrored) for mirrored in (False, True) for turns in range(4))

# PatientOrientation of the stored pixels (where their rows run to, where their columns run to) -> how they are shown.
_FRONTAL = {
    ("L", "F"): AS_STORED,
    ("F", "R"): Orientation(1),
    ("R", "H"): Orientation(2),
    ("H", "L"): Orientation(3),
    ("R", "F"): Orientation(0, mirrored=True),
    ("F", "L"): Orientation(1, mirrored=True),
    ("L", "H"): Orientation(2, mirrored=True),
    ("H", "R"): Orientation(3, mirrored=True),
}


class _Stated(NamedTuple):
    """What a header says of a film's orientation: how the stored pixels are shown; None where it does not say.

    note: what is done, or why the element is not used. warning: the film is lateral by it.
    """

    orientation: Orientation | None = None
    note: str | None = None
    warning: str | None = None


def read_orientation(values: list[str]) -> _Stated:
    """What the element PatientOrientation says (PS3.3 C.7.6.1.1.1): where rows and columns run to.

    The first letter of each value decides; those after it say how far the direction is oblique. [] for an absent or
    empty element.
    """
    # Some writers put a slash or a comma between the two directions.
    parts = [part.strip().upper() for value in values for part in re.split(r"[\\/,\s]+", value.strip()) if part.strip()]
    if not parts:
        return _Stated()
    text = "\\".join(part if re.fullmatch("[A-Z]{1,3}", part) else "?" for part in parts[:3])
    if len(parts) != 2 or not all(map(_makes_sense, parts)) or _AXIS[parts[0][0]] == _AXIS[parts[1][0]]:
        return _Stated(note=say("PatientOrientation {text} makes no sense and was ignored", text=text))
    stated = _FRONTAL.get((parts[0][0], parts[1][0]))
    if stated is None:
        return _Stated(
            warning=say("the header says that this is a lateral film (PatientOrientation {text})", text=text)
        )
    if stated == AS_STORED:
        return _Stated(stated)
    words = say(
        "{turned} for analysis and display, as PatientOrientation {text} says; the mask is as stored",
        turned=stated.words,
        text=text,
    )
    return _Stated(stated, note=words)


def _makes_sense(value: str) -> bool:
    """Whether a value has one to three letters, each along another axis of the patient."""
    axes = [_AXIS.get(letter) for letter in value]
    return 1 <= len(axes) <= 3 and None not in axes and len(set(axes)) == len(axes)
