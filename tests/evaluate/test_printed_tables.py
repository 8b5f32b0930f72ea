"""The paper's printed figures against numbers worked out by hand."""

from fractions import Fraction

import pytest

from lunglens.evaluate.printed_tables_report import paper_inconsistencies, paper_report
from tests.support.printed_tables import (
    AVERAGES,
    FOLD_10_MATRIX,
    TABLE_6,
    TABLE_7,
    Matrix,
    Printed,
    agrees,
    fits,
    interval,
    mean_as_printed,
    mean_of_folds,
    percent,
    pooled,
    reconstructed,
    table,
)


def test_fold_10_s_specificity_by_definition_is_one_and_its_printed_figure_the_npv() -> None:
    found = FOLD_10_MATRIX.measures()
    assert found["specificity"] == 1
    assert found["NPV"] == Fraction(50, 52)
    assert found["accuracy"] == Fraction(89, 91)
    assert found["sensitivity"] == Fraction(39, 41)
    assert found["balanced accuracy"] == Fraction(40, 41)
    assert found["PPV"] == 1


def test_predictive_values_of_nothing_called_are_undefined() -> None:
    assert Matrix(0, 41, 50, 0).measures()["PPV"] is None
    assert Matrix(41, 0, 0, 50).measures()["NPV"] is None


@pytest.mark.parametrize(
    ("printed", "value", "expected"),
    [
        ("98.03", Fraction(50, 51), True),  # 98.0392 cut off
        ("98.04", Fraction(50, 51), True),  # and rounded
        ("98.02", Fraction(50, 51), False),
        ("98.05", Fraction(50, 51), False),
        ("98.78", Fraction(90, 91), False),  # 98.901
        ("100.0", Fraction(1), True),
        ("97.80", Fraction(89, 91), True),
    ],
)
def test_a_percentage_agrees_when_rounded_or_cut_off(printed: str, value: Fraction, expected: bool) -> None:
    assert agrees(printed, value) is expected


def test_percentages_round_half_up() -> None:
    assert percent(Fraction(1, 8000)) == "0.01"
    assert percent(Fraction(86, 91)) == "94.51"
    assert percent(Fraction(1)) == "100.00"


def test_no_fold_of_91_images_has_the_accuracy_printed_four_times() -> None:
    assert [right for right in range(92) if agrees("98.78", Fraction(right, 91))] == []


def test_each_row_of_table_6_has_exactly_one_matrix() -> None:
    found = [fit.matrix for fit in reconstructed(TABLE_6)]
    one_wrong, none_wrong = Matrix(40, 1, 50, 0), Matrix(41, 0, 50, 0)
    assert found == [
        one_wrong,
        none_wrong,
        one_wrong,
        one_wrong,
        none_wrong,
        none_wrong,
        none_wrong,
        one_wrong,
        none_wrong,
        FOLD_10_MATRIX,
    ]


def test_what_the_columns_of_table_6_hold() -> None:
    first, *_, last = reconstructed(TABLE_6)
    assert first.holds == {
        "accuracy": ("balanced accuracy",),
        "sensitivity": ("sensitivity",),
        "specificity": ("NPV",),
    }
    assert last.holds["accuracy"] == ("accuracy",)
    assert last.holds["specificity"] == ("NPV",)


def test_the_baselines_are_one_fold_each_and_hold_two_kinds_of_specificity() -> None:
    found = dict(zip(TABLE_7, reconstructed(list(TABLE_7.values())), strict=True))
    assert found["resnet152"].matrix == Matrix(39, 2, 47, 3)
    assert found["densenet121"].matrix == Matrix(37, 4, 48, 2)
    assert found["efficientnet_b4"].matrix == FOLD_10_MATRIX
    assert [fit.holds["specificity"] for fit in found.values()] == [("specificity",), ("specificity",), ("NPV",)]
    assert [fit.holds["accuracy"] for fit in found.values()] == [("accuracy",), ("accuracy",), ("balanced accuracy",)]


def test_over_ten_folds_the_baselines_would_need_counts_that_are_all_multiples_of_ten() -> None:
    for row in TABLE_7.values():
        pairs = [
            (tp, tn)
            for tp in range(411)
            if agrees(row.sensitivity, Fraction(tp, 410))
            for tn in range(1, 501)
            for measures in [Matrix(tp, 410 - tp, tn, 500 - tn).measures()]
            if any(agrees(row.accuracy, measures[name]) for name in ("accuracy", "balanced accuracy"))  # type: ignore[arg-type]
            and any(agrees(row.specificity, measures[name]) for name in ("specificity", "NPV"))  # type: ignore[arg-type]
        ]
        assert len(pairs) == 1, row.place
        assert all(count % 10 == 0 for count in pairs[0])


def test_a_row_that_no_matrix_gives_is_refused() -> None:
    wrong = Printed("nowhere", "99.00", "99.00", "99.00")
    assert fits(wrong) == ()
    with pytest.raises(ValueError, match="nowhere: 0 confusion matrices fit"):
        reconstructed([wrong])


def test_averages_worked_out_by_hand() -> None:
    # 4 x 98.78 + 5 x 100 + 97.80, and so on, over ten.
    assert mean_as_printed("accuracy") == Fraction("0.99292")
    assert mean_as_printed("sensitivity") == Fraction("0.98536")
    assert mean_as_printed("specificity") == Fraction("0.98827")
    # 404 of 410 and 500 of 500 are right: four folds with one wrong and one with two.
    assert mean_of_folds("accuracy") == Fraction(904, 910)
    assert mean_of_folds("sensitivity") == Fraction(404, 410)
    assert mean_of_folds("specificity") == 1
    assert pooled([fit.matrix for fit in reconstructed(TABLE_6)]) == Matrix(404, 6, 500, 0)


def test_which_printed_averages_follow_from_the_printed_folds() -> None:
    follows = {
        row.place: [agrees(getattr(row, name), mean_as_printed(name)) for name in ("accuracy", "specificity")]
        for row in AVERAGES
    }
    assert follows == {
        "Abstract": [False, True],
        "Section 4.3, text": [False, False],
        "Table 6, average": [True, True],
        "Table 7, proposed model": [False, True],
        "Section 5, conclusions": [False, True],
    }
    assert agrees("99.26", mean_of_folds("balanced accuracy"))


def test_the_exact_interval_is_the_published_one() -> None:
    # Clopper-Pearson of 10 in 10: low = 0.025 ** (1 / 10).
    assert interval(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    low, high = interval(89, 91)
    assert low < 904 / 910 < high
    assert interval(86, 91)[1] < 904 / 910


def test_inconsistencies_name_their_place_and_are_in_the_report() -> None:
    found = paper_inconsistencies()
    assert [item.place.split(",")[0].split(":")[0] for item in found] == [
        "Table 5",
        "Table 6",
        "Table 6",
        "Average accuracy",
        "Average sensitivity",
        "Average specificity",
        "Table 7",
        "Table 7",
        "Table 7",
    ]
    report = paper_report()
    for item in found:
        assert item.finding in report
    assert "50/52" in found[2].finding
    assert "99.268" in found[3].finding
    assert "86/91, 87.6 to 98.2 %" in found[6].finding
    total = pooled([fit.matrix for fit in reconstructed(TABLE_6)])
    counts = "TP {0.tp}, FN {0.fn}, TN {0.tn}, FP {0.fp}"
    shares = {name: percent(value) for name, value in total.measures().items() if value is not None}
    assert f"Over all ten folds: {counts.format(total)}." in report
    assert "accuracy {accuracy} %, sensitivity {sensitivity} %, specificity {specificity} %;".format(**shares) in report
    assert f"PPV {shares['PPV']} %, NPV {shares['NPV']} %." in report
    assert f"({counts.format(FOLD_10_MATRIX)})" in report
    for tabled in (TABLE_6, list(TABLE_7.values())):
        assert f"\n\n{table(tabled)}\n\n" in report
    for row in AVERAGES:
        assert f"| {row.place} | {row.figures} |" in report
