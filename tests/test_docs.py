"""README, docs/ and what a forge reads: links lead somewhere, command lines and make targets are there."""

import ast
import base64
import contextlib
import io
import json
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import lunglens
from lunglens.cli.main import app
from lunglens.film.model_package.package import load_package

ROOT = Path(__file__).parents[1]
CARDS = (ROOT / "src" / "lunglens" / "models").glob("*/README.md")
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *CARDS})
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")

# Command lines that run until they are stopped or for long, and the tests that run such (on made-up films, in small).
ELSEWHERE = {
    "serve": "serve/test_app.py",
    "node": "serve/test_node.py",
    "curate": "study/test_build.py",
    "folds": "study/test_folds.py",
    "report|explain|compare runs": "study/test_results.py",
    "crossval|export|.* my-model": "test_tutorial.py",
    "audit": "train/test_audit.py",
    "average": "train/test_fit_and_export.py",
    "sweep": "train/test_sweep.py",
    "train|evaluate": "train/test_lungs_and_gate.py",
    ".* --ray": "jobs/test_ray.py",
}
STANDS_FOR = {
    "FILES...": "film.dcm",
    "/films": "film.dcm",
    "PACKAGE": str(ROOT / "src" / "lunglens" / "models" / "classifier"),
    "$SLURM_ARRAY_TASK_ID": "1",
    "/20": "/1",
    " --open": "",
}


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#{1,6} (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text()))
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link) and not leads(page, link)]


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def command_lines(text: str) -> list[str]:
    """Those in fenced blocks that call `lunglens`, without comments and with continued lines joined."""
    blocks = "\n".join(FENCED.findall(text)).replace("\\\n", " ")
    return re.findall(r"^ *(lunglens .+)$", blocks, re.MULTILINE)


def fault(line: str) -> str | None:
    """What is wrong with a command line: a verb or an option that does not exist."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = get_command(app)
    while words and hasattr(command, "commands"):
        if words[0].startswith("--"):
            break
        name = words.pop(0)
        if name not in command.commands:
            return f"no verb {name!r}: {line}"
        command = command.commands[name]
    known = {"--help", *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"no option {unknown[0]!r}: {line}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not broken_links(page)


def test_every_command_line_is_one_that_the_program_takes() -> None:
    lines = [line for page in PAGES for line in command_lines(page.read_text())]
    assert len(lines) > 60
    assert not [told for line in lines if (told := fault(line))]


def test_every_command_of_the_docs_is_run_here_or_elsewhere(
    rg_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here those that answer in seconds, with the example film for what stands for a user's own."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(rg_folder / "RG1_UNCR.dcm", "film.dcm")
    lines = {line.partition("#")[0].strip(): None for page in PAGES for line in command_lines(page.read_text())}
    here = [line for line in lines if not any(re.match(f"lunglens ({each})", line) for each in ELSEWHERE)]
    assert len(here) > 12
    for line in here:
        meant = re.sub("|".join(map(re.escape, STANDS_FOR)), lambda said: STANDS_FOR[said[0]], line)
        done = CliRunner().invoke(app, shlex.split(meant)[1:])
        assert done.exit_code == 0, (line, done.output)
    assert all((ROOT / "tests" / test).is_file() for test in ELSEWHERE.values())


def test_a_wrong_link_verb_or_option_would_be_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](#two) [c](none.md) [d](page.md#one) [e](https://example.org)\n")
    assert broken_links(page) == ["#two", "none.md"]
    (line,) = command_lines("```\nlunglens analyse film.dcm  # a word\n```\nlunglens nothing\n")
    assert fault(line) == f"no verb 'analyse': {line}"
    assert fault("lunglens analyze FILM --prevalance=0.1") is not None
    assert fault("lunglens analyze FILM --out X \t# --nothing") is None


def run_cell(source: str, space: dict[str, Any]) -> tuple[str, Any]:
    """What a cell prints, and what its last line is worth, as a notebook shows them; and the latter itself."""
    printed = io.StringIO()
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), space)  # noqa: S102
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None  # noqa: S307
    return printed.getvalue() + ("" if value is None else repr(value)), value


def test_the_notebook_says_what_its_cells_give() -> None:
    space: dict[str, Any] = {}
    cells = json.loads((ROOT / "docs" / "tutorials" / "film.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) == 5
    for cell in code:
        given, value = run_cell("".join(cell["source"]), space)
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/jpeg" in data:
                pictures = (value._repr_jpeg_(), base64.b64decode(data["image/jpeg"]))
                shown = [np.asarray(Image.open(io.BytesIO(picture)), float) for picture in pictures]
                assert np.abs(shown[0] - shown[1]).mean() < 0.2  # the seconds that it took are on it
            kept = "".join(output.get("text", data.get("text/plain", "")))
            number = re.compile(r"\d+\.\d+")
            assert number.sub("#", given) == number.sub("#", kept)
            numbers = [[float(each) for each in number.findall(text)] for text in (given, kept)]
            assert numbers[0] == pytest.approx(numbers[1], abs=0.011)


def test_the_recipe_for_spark_answers_films_and_says_what_is_none(
    rg_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to.md").read_text(), re.DOTALL)
    spark = MagicMock()  # Spark itself is not installed for tests
    monkeypatch.setitem(sys.modules, "pyspark.sql", spark)
    space: dict[str, Any] = {}
    exec(recipe, space)  # noqa: S102
    read = spark.SparkSession.builder.config.return_value.getOrCreate.return_value.read
    films = read.format.return_value.option.return_value.load.return_value
    answers, row = films.select.return_value.mapInPandas.call_args.args
    content = [(rg_folder / "RG1_UNCR.dcm").read_bytes(), b"no film"]
    (found,) = answers(iter([pd.DataFrame({"path": ["a", "b"], "content": content})]))
    assert [column.split()[0] for column in row.split(", ")] == list(found.columns)
    assert list(found["status"]) == ["analyzed", "failed"]
    assert 0 <= found["p_covid"][0] <= 1
    assert "no DICOM" in found["reason"][1]


def test_the_reports_of_the_conformance_statement_are_of_the_models_that_ship() -> None:
    page = (ROOT / "docs" / "dicom-conformance.md").read_text()
    named = set(re.findall(r'"Algorithm Name"\)="LungLens ([^"]+)"', page))
    assert named == {load_package(part).name for part in ("lungs", "classifier", "severity")}


def test_the_citation_is_of_this_version() -> None:
    assert f"\nversion: {lunglens.__version__}\n" in (ROOT / "CITATION.cff").read_text()


def targets(text: str) -> set[str]:
    """The make targets that a text calls."""
    return {target for line in re.findall(r"\bmake((?: [a-z]+)+)", text) for target in line.split()}


def test_the_forge_calls_make_targets_that_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (there,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    workflows = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    jobs = [job for workflow in workflows for job in workflow["jobs"].values()]
    lines = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    called = {target for line in lines for target in targets(line)}
    assert {"test", "lint", "docs", "dist"} <= called <= set(there.split())
    assert not targets("and make tee") <= set(there.split())
    assert all(job["timeout-minutes"] for job in jobs)
    (pythons,) = [job["strategy"]["matrix"]["python"] for job in jobs if "strategy" in job]
    assert f"Python {pythons[0]}" in makefile


def test_constraints_agree_and_those_of_a_server_have_hashes() -> None:
    pinned = {name: (ROOT / "constraints" / f"{name}.txt").read_text() for name in ("dev", "base", "serve")}
    versions = {name: set(re.findall(r"^[a-z0-9-]+==\S+", text, re.MULTILINE)) for name, text in pinned.items()}
    assert versions["base"] < versions["serve"] < versions["dev"]
    blocks = re.split(r"^(?=\S+==)", pinned["serve"], flags=re.MULTILINE)[1:]
    assert len(blocks) == len(versions["serve"])
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in "".join(pinned.values())


def test_hooks_are_what_lint_runs() -> None:
    _, _, recipe = (ROOT / "Makefile").read_text().partition("\nlint: ")
    programs = re.findall(r"^\t\$\(TEST_VENV\)/(.+)$", recipe.partition("\n\n")[0], re.MULTILINE)
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"].removeprefix(".venv/") for hook in local["hooks"]]
    assert entries == [re.sub(r" (--check )?\.$", "", program) for program in programs]


def test_forms_ask_something_and_every_question_has_its_id() -> None:
    forms = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert len(forms) == 3
    for form in forms:
        questions = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({question["id"] for question in questions}) == len(questions) > 0
        assert form["name"]
        assert form["description"]
