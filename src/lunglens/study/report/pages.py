"""What the HTML reports share: one look, a strict environment, pictures within the page."""

import base64
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from lunglens.files import templates

_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}


def environment(package: str) -> Environment:
    """Over the templates of a package, which get `style` for their `<style>`."""
    found = templates(package)
    style = files("lunglens.study.report").joinpath("page.css").read_text(encoding="utf-8")
    found.globals["style"] = Markup(style)  # noqa: S704 - our own file
    found.filters["count"] = lambda number: f"{number:,}"
    return found


def data_uri(path: Path) -> str | None:
    """A picture file as a data URI, so that the page is one file; None where there is none."""
    if not path.is_file():
        return None
    return f"data:{_KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
