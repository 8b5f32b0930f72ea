"""Build the documentation site into site/: `make docs`.

    python tools/build_docs.py

The site is the repository's own Markdown, at its own paths, so that links which work in a checkout work there. Added
are two pages that are written from the code: the Python names from their docstrings, the command line from its help.
Ends with 1 where the site would warn, or would fetch anything from elsewhere.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import lunglens

ROOT = Path(__file__).parents[1]
STAGE = ROOT / ".site-pages"
SITE = ROOT / "site"
ROOTS = ["*.md", "docs/**/*.md", "docs/**/*.ipynb", "src/lunglens/models/*/README.md"]
LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")
# What a browser fetches by itself; a link (<a href>) or an address in words is none of it.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s>]*"
    r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload))[^>]*\bhref=[\"']?(?:https?:)?//[^\s>]*"
    r"|url\([\"']?(?:https?:)?//[^)]*|@import\s+[\"'](?:https?:)?//[^\"']*",
    re.IGNORECASE,
)


def stage(page: Path) -> None:
    """A page, and what it shows or links to in the repository, at their paths below STAGE."""
    target = STAGE / page.relative_to(ROOT)
    if target.exists() or not page.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if page.suffix == ".ipynb":
        target = target.with_suffix(".md")
        target.write_text(as_markdown(json.loads(page.read_text())))
        return
    shutil.copyfile(page, target)
    if page.suffix == ".md":
        text = page.read_text()
        target.write_text(text.replace(".ipynb)", ".md)"))
        for link in LINK.findall(text):
            stage((page.parent / link).resolve())


def as_markdown(notebook: dict[str, Any]) -> str:
    """A notebook's cells with their answers; pictures stay inside the page."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", "")))
            if "image/jpeg" in data:
                parts.append(f"![{text}](data:image/jpeg;base64,{''.join(data['image/jpeg']).strip()})")
            elif text:
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def write_python_page() -> None:
    names = "\n".join(f"::: lunglens.{name}\n" for name in lunglens.__all__ if not name.startswith("_"))
    (STAGE / "docs" / "python.md").write_text(f"# Python\n\n`import lunglens` gives these names.\n\n{names}")


def write_command_page() -> None:
    command = [sys.executable, "-m", "typer", "lunglens.cli.main", "utils", "docs", "--name", "lunglens"]
    page = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    page = page.replace("# `lunglens`", "# Command line", 1)
    # Typer cuts what each verb does after a few words; the whole of it stands below.
    page = re.sub(r"^\* `([a-z-]+)`: .*\.\.\.$", r"* `\1`", page, flags=re.MULTILINE)
    (STAGE / "docs" / "command-line.md").write_text(page)


def fetched_from_elsewhere() -> list[str]:
    pages = (path for path in SITE.rglob("*") if path.suffix in {".html", ".css"})
    return [f"{path.relative_to(SITE)}: {found}" for path in pages for found in FETCHED.findall(path.read_text())]


def main() -> int:
    for folder in (STAGE, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    for pattern in ROOTS:
        for page in ROOT.glob(pattern):
            stage(page)
    write_python_page()
    write_command_page()
    zensical = Path(sys.executable).parent / "zensical"
    if subprocess.run([zensical, "build", "--clean", "--strict"], cwd=ROOT, check=False).returncode:
        return 1
    fetched = fetched_from_elsewhere()
    told = f"The site: {SITE}/index.html; with search: python3 -m http.server -d {SITE}"
    print("\n".join(f"from elsewhere: {each}" for each in fetched) or told)
    return 1 if fetched else 0


if __name__ == "__main__":
    sys.exit(main())
