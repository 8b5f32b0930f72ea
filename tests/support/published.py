"""Made-up trees of published data sets, and what their readers said of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lunglens.study.rows import Row
from lunglens.study.sources.registry import Problem


def files(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def text(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def by_name(rows: Iterable[Row]) -> dict[str, Row]:
    return {Path(row.path).name: row for row in rows}


def by_stem(rows: Iterable[Row]) -> dict[str, Row]:
    return {Path(row.path).stem: row for row in rows}


def said(problems: Sequence[Problem]) -> str:
    return "\n".join(map(str, problems))


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def mask_of(row: Row) -> str | None:
    """Paths of the row's mask, joined by "|"; None where it has none."""
    return "|".join(part.path for part in row.masks) or None
