"""The audit in one figure: how well the class is told by what is no lung, beside the run's own score."""

from matplotlib.figure import Figure

from lunglens.evaluate.audit.record import Audit, AuditTest
from lunglens.evaluate.figures.style import BLUE, INK, MUTED, ORANGE, RULE, WIDTH_IN

_AREAS = ("T2", "T3", "T4", "T5", "T6", "T8", "T9")  # tests whose number is an AUROC of the class
_TOLD_ELSEWHERE = ("T8", "T9")


def audit_figure(audit: Audit) -> Figure | None:
    """A line a test with an AUROC, its 95 % interval, and the run's own as a band; None where there is none."""
    tests = [test for test in audit.tests if test.test in _AREAS and test.number is not None]
    if not tests:
        return None
    figure = Figure(figsize=(WIDTH_IN, 0.9 + 0.36 * len(tests)), layout="constrained")
    axes = figure.add_subplot()
    if audit.auroc is not None:
        low, high = audit.auroc_95_ci or [audit.auroc, audit.auroc]
        axes.axvspan(low, high, color=RULE, zorder=0)
        axes.axvline(audit.auroc, color=INK, linewidth=1, zorder=1)
        axes.text(audit.auroc, -0.75, f"the run: {audit.auroc:.3f}", ha="right", color=INK)
    axes.axvline(0.5, color=MUTED, linewidth=0.8, linestyle="--", zorder=1)
    for place, test in enumerate(tests):
        _line(axes, place, test)
    axes.set_yticks(range(len(tests)), [f"{test.test}  {test.name}" for test in tests])
    axes.set_ylim(len(tests) - 0.4, -1.1)
    axes.set_xlim(0.4, 1.0)
    axes.set_xlabel("AUROC of the class; orange: what no lung has told; blue: what is left elsewhere")
    axes.tick_params(axis="y", length=0)
    return figure


def _line(axes, place: int, test: AuditTest) -> None:  # type: ignore[no-untyped-def]
    colour = BLUE if test.test in _TOLD_ELSEWHERE else ORANGE
    if test.interval is not None:
        axes.plot(test.interval, [place, place], color=colour, linewidth=2.5, alpha=0.45, solid_capstyle="butt")
    axes.plot([test.number], [place], "o", color=colour, markersize=6)
