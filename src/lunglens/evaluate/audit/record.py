"""`audit.json`: what each test of the audit found."""

from typing import Any, Literal

from lunglens.files import Record

AUDIT = "audit.json"
# How bad, least first; "not done" is no finding.
Verdict = Literal["not done", "clear", "doubt", "shortcut"]
VERDICTS: tuple[Verdict, ...] = ("not done", "clear", "doubt", "shortcut")


class AuditTest(Record):
    """One test.

    test: "T1" to "T12". name: what it asks. what: what `number` is; 95_ci by patient. sentence: the finding in words.
    rows: the table behind it, one name a column.
    """

    test: str
    name: str
    what: str = ""
    number: float | None = None
    interval: list[float] | None = None
    verdict: Verdict
    sentence: str
    rows: tuple[dict[str, Any], ...] = ()


class Audit(Record):
    """The file. fingerprint: of the study. auroc: the run's, out of fold; the tests are read beside it."""

    format: Literal[1] = 1
    study: str
    fingerprint: str
    run: str
    model: str
    shown: str
    auroc: float | None
    auroc_95_ci: list[float] | None
    date: str
    seed: int
    tests: tuple[AuditTest, ...]

    def worst(self) -> Verdict:
        """The gravest verdict of all tests."""
        return max((test.verdict for test in self.tests), key=VERDICTS.index, default="not done")


def not_done(test: str, name: str, why: str) -> AuditTest:
    """A test that could not be made, with the reason."""
    return AuditTest(test=test, name=name, verdict="not done", sentence=why)
