"""Draw the networks of the earlier systems from the `picture` of their presets, as docs/systems/PRESET.svg.

python tools/draw_systems.py
"""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from lunglens.study.config import shipped_systems

FOLDER = Path(__file__).parents[1] / "docs" / "systems"
WIDTH, MARGIN, GAP, LINE, SPACE = 960, 16, 20, 14, 8
PLAIN, FIXED, LEARNS, ANSWER = "#eef1f5", "#dbe8f6", "#f6e6d2", "#dcebdd"  # as in house.svg
LETTER = 6.2  # mean width of a letter of 11 px

Step = Sequence[str]


def picture(steps: Sequence[Step], name: str) -> str:
    """An SVG: the steps from left to right, the blocks of one step below each other."""
    wide = (WIDTH - 2 * MARGIN - GAP * (len(steps) - 1)) / len(steps)
    blocks = [[_lines(text, wide) for text in step] for step in steps]
    high = max(sum(map(_height, step)) + SPACE * (len(step) - 1) for step in blocks)
    parts, before = [], []
    for place, step in enumerate(blocks):
        left = MARGIN + place * (wide + GAP)
        top = MARGIN + (high - sum(map(_height, step)) - SPACE * (len(step) - 1)) / 2
        middles = []
        for text, (title, details) in zip(steps[place], step, strict=True):
            height = _height((title, details))
            parts += _block(left, top, (wide, height), (title, details), _colour(text, place, len(steps)))
            middles.append(top + height / 2)
            top += height + SPACE
        parts += [_arrow(left - GAP, y, left, z) for y, z in _joined(before, middles)]
        before = middles
    legend = _legend(high + 2 * MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high + 2 * MARGIN + 22:.0f}" '
            f'font-family="sans-serif" role="img" aria-label="{escape(name)}, from film to answer">',
            '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#5b6875"/></marker></defs>',
            f'<rect width="{WIDTH}" height="{high + 2 * MARGIN + 22:.0f}" fill="#ffffff"/>',
            *parts,
            *legend,
            "</svg>\n",
        ]
    )


def _lines(text: str, wide: float) -> tuple[list[str], list[str]]:
    title, _, details = text.removeprefix("= ").removeprefix("- ").partition(": ")
    letters = int((wide - 12) / LETTER)
    return textwrap.wrap(title, letters), textwrap.wrap(details, letters)


def _height(lines: tuple[list[str], list[str]]) -> int:
    return 12 + LINE * (len(lines[0]) + len(lines[1]))


def _colour(text: str, place: int, steps: int) -> str:
    if place == steps - 1:
        return ANSWER
    if place == 0 or text.startswith("- "):
        return PLAIN
    return FIXED if text.startswith("= ") else LEARNS


def _block(
    left: float, top: float, size: tuple[float, float], lines: tuple[list[str], list[str]], fill: str
) -> Iterator[str]:
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" height="{size[1]}" rx="5" fill="{fill}" '
        'stroke="#8a96a3"/>'
    )
    for number, line in enumerate([*lines[0], *lines[1]]):
        look = 'font-weight="600" fill="#1c2733"' if number < len(lines[0]) else 'fill="#3c4956"'
        place = f'x="{left + 6:.1f}" y="{top + 17 + LINE * number:.1f}"'
        yield f'<text {place} font-size="11" {look}>{escape(line)}</text>'


def _joined(before: list[float], middles: list[float]) -> list[tuple[float, float]]:
    """Which blocks of one step lead to which of the next: each to its own where they are as many, else all to all."""
    if len(before) == len(middles):
        return list(zip(before, middles, strict=True))
    return [(y, z) for y in before for z in middles]


def _arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    path = f"M{x:.1f} {y:.1f}L{to_x - 1:.1f} {to_y:.1f}"
    return f'<path d="{path}" stroke="#5b6875" stroke-width="1.3" fill="none" marker-end="url(#a)"/>'


def _legend(top: float) -> Iterator[str]:
    kinds = ((FIXED, "fixed or frozen"), (LEARNS, "learns, or is fitted in the fold"), (PLAIN, "has no parameters"))
    for left, (fill, words) in zip((MARGIN, MARGIN + 130, MARGIN + 340), kinds, strict=True):
        yield f'<rect x="{left}" y="{top - 6:.0f}" width="12" height="12" rx="2" fill="{fill}" stroke="#8a96a3"/>'
        yield f'<text x="{left + 18}" y="{top + 4:.0f}" font-size="11" fill="#3c4956">{words}</text>'


def drawn() -> dict[str, Path]:
    """Preset -> its picture; presets that share a picture have one file, named by the system's number."""
    files: dict[str, Path] = {}
    of_picture: dict[object, Path] = {}
    for preset, config in shipped_systems().items():
        assert config.system is not None  # noqa: S101
        number = f"{config.system.number:02}"
        known = any(path.stem == number for path in of_picture.values())
        file = FOLDER / (f"{number}-{preset}.svg" if known else f"{number}.svg")
        files[preset] = of_picture.setdefault(config.system.picture, file)
    return files


def main() -> None:
    """Draw each picture once."""
    FOLDER.mkdir(exist_ok=True)
    systems = shipped_systems()
    for preset, path in drawn().items():
        facts = systems[preset].system
        if facts is not None:
            path.write_text(picture(facts.picture, facts.title), encoding="utf-8")


if __name__ == "__main__":
    main()
