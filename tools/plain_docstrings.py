"""A griffe extension: what docstrings write in plain text is said in Markdown, for the documentation site.

Lines of a doctest become a fenced block (they would be quotations), and lines such as `name: what it is` a list.
"""

import re
from typing import Any

import griffe

# From a prompt to the next empty line, as doctest reads it.
DOCTEST = re.compile(r"^>>> .*(?:\n(?!$).+)*", re.MULTILINE)
FIELD = re.compile(r"^(\*{0,2}[a-z_]+(?:, [a-z_]+)*): (?=\S)", re.MULTILINE)


class PlainDocstrings(griffe.Extension):
    """See the module."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """As the base class: for every module, class, function and attribute."""
        if obj.docstring:
            fenced = DOCTEST.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            obj.docstring.value = FIELD.sub(r"\n- `\1`: ", fenced)
