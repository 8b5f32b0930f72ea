"""Text that commands no terminal, and tables of it."""

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

# Controls, marks that turn the direction of writing or cannot be seen, halves of pairs, separators of lines.
_COMMANDS = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def readable(text: object) -> str:
    r"""Text for a terminal, a log or a table: whatever commands one becomes a visible escape (`\x1b`, `\n`, `\u202e`).

    These are control characters, line ends among them, marks that turn the direction of writing, and bytes of a file
    name that are no UTF-8 (`\udce9`). A backslash stays itself, so that the function may be applied twice.
    """
    return escaped(str(text), lambda letter: letter.encode("unicode_escape").decode())


def storable(text: object) -> str:
    r"""Text that JSON and UTF-8 can hold, else as it is: bytes of a file name that are no UTF-8 become `\udce9`."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def ascii_line(text: str, longest: int | None = None) -> str:
    """Printable ASCII, '?' for any other letter, at most `longest` of them."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text[:longest])


def escaped(text: str, escape: Callable[[str], str]) -> str:
    """Text with each letter escaped that could command a terminal."""
    if text.isprintable():
        return text
    return "".join(escape(letter) if unicodedata.category(letter) in _COMMANDS else letter for letter in text)


def reason_of(error: Exception, file: Path) -> str:
    """What an error about a file says, without the file's name, which may hold a patient's."""
    return readable(str(error).removeprefix(f"{file.name}: "))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_right: bool = False) -> list[str]:
    """A Markdown table, a line each; numbers_right: all columns but the first are set to the right.

    >>> markdown_table(["fold", "films"], [["0", "12"]])
    ['| fold | films |', '| --- | --- |', '| 0 | 12 |']
    """
    rule = ["---", *["---:" if numbers_right else "---"] * (len(head) - 1)]
    plain = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *plain)]


_LONG = 60  # letters of a cell that LaTeX must break
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def latex_table(title: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    r"""A `table` for a document with \usepackage{booktabs}, a line each."""
    long = [any(len(row[column]) > _LONG for row in rows) for column in range(len(head))]
    columns = "".join("p{5cm}" if one else "l" for one in long)
    lines = [" & ".join(map(_tex, row)) + r" \\" for row in (head, *rows)]
    return [
        r"\begin{table}",
        rf"\caption{{{_tex(title)}. {_tex(caption)}}}",
        r"\footnotesize",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        lines[0],
        r"\midrule",
        *lines[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
    ]


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)
