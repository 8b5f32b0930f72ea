"""Lungs packages of two masks, fields and whole lung, beside those of 0.1.0, which have one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lunglens.errors import ModelPackageError
from lunglens.film.analyzer import Analyzer
from lunglens.film.batch import LungsWriter
from lunglens.film.model_package.package import load_package, write_description
from lunglens.film.model_package.record import read_record
from lunglens.film.preprocess import resize_mask
from tests.support.lungs_packages import lungs_package
from tests.support.packages import SIZE, classifier_package
from tests.support.phantom import chest, save_png

WHOLE = {"region": "network", "dilation_iterations": 0, "closing_iterations": 0}


def lungs_of(bottom: int) -> np.ndarray:
    """Two lungs that reach down to a row."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[10:bottom, 8:26] = mask[10:bottom, 38:56] = True
    return mask


FIELDS, REGION = lungs_of(40), lungs_of(56)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    lungs_package(folder / "one", FIELDS[None])
    lungs_package(folder / "two", np.stack([FIELDS, REGION]), masks=["fields", "region"], postprocess=WHOLE)
    for name, postprocess in (("dilated", {}), ("network", WHOLE)):
        description = load_package(classifier_package(folder / name, ["covid", "other"], [0.0])).description
        description["parameters"]["postprocess"] = postprocess
        write_description(folder / name, description)
    return folder


def analyzer_of(lungs: Path, classifier: Path, shipped: Analyzer) -> Analyzer:
    return Analyzer(load_package(lungs, "lungs"), load_package(classifier, "classification"), shipped.orientation)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_png(chest(1, 128)[0], tmp_path_factory.mktemp("film") / "chest.png")


def test_the_classifier_sees_the_region_that_it_was_trained_with(
    packages: Path, film: Path, analyzer: Analyzer
) -> None:
    seen = {
        name: analyzer_of(packages / "two", packages / name, analyzer).analyze(film).classifier_view > 0
        for name in ("dilated", "network")
    }
    assert not seen["network"][~REGION].any()
    assert seen["network"][REGION].mean() > 0.9
    assert not seen["dilated"][43:].any()
    before = analyzer_of(packages / "one", packages / "dilated", analyzer).analyze(film).classifier_view > 0
    assert np.array_equal(seen["dilated"], before)


def test_a_classifier_that_wants_the_whole_lung_is_not_run_without_it(packages: Path, analyzer: Analyzer) -> None:
    with pytest.raises(ModelPackageError, match=r"one: gives the lung fields alone.*two masks"):
        analyzer_of(packages / "one", packages / "network", analyzer)


def test_segment_writes_the_whole_lung_where_there_is_one(
    packages: Path, film: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    for name in ("two", "one"):  # the second leaves nothing of the first
        found = LungsWriter().write(
            film, tmp_path / "chest", analyzer_of(packages / name, packages / "dilated", analyzer)
        )
        assert found.status == "analyzed"
        written = {path.name: np.asarray(Image.open(path)) == 255 for path in sorted(tmp_path.glob("*.png"))}
        assert np.array_equal(resize_mask(written["chest.lungs.png"], SIZE, SIZE), FIELDS)
        assert ("chest.region.png" in written) == (name == "two")
        if name == "two":
            assert np.array_equal(resize_mask(written["chest.region.png"], SIZE, SIZE), REGION)


def test_a_package_gives_as_many_maps_as_it_names_masks(tmp_path: Path) -> None:
    with pytest.raises(ModelPackageError, match=r"gives 2 probabilities, and .* names 1 masks"):
        lungs_package(tmp_path, np.stack([FIELDS, REGION]))
    with pytest.raises(ModelPackageError, match="takes the region from the network"):
        lungs_package(tmp_path, FIELDS[None], postprocess=WHOLE)
    with pytest.raises(ModelPackageError, match=r"must be \["):
        lungs_package(tmp_path, FIELDS[None], masks=["region"])


def test_torn_or_doubtful_lungs_are_warned_of_where_the_package_says_from_when(
    packages: Path, film: Path, analyzer: Analyzer, tmp_path: Path
) -> None:
    maps = np.stack([0.6 * FIELDS, 0.9 * REGION])  # of so sure a mask a Dice of 0.73 and 0.93 is to be expected
    for least, warned in ((None, False), ([0.7, 0.9], False), ([0.8, 0.9], True), ([0.7, 0.95], True)):
        both = {"masks": ["fields", "region"], "postprocess": WHOLE, "doubtful_below": least}
        folder = lungs_package(tmp_path / str(least), maps, **both)
        found = analyzer_of(folder, packages / "network", analyzer).analyze(film)
        doubts = [text for text in found.warnings if text.startswith("torn or doubtful lungs")]
        assert len(doubts) == warned
        if least == [0.8, 0.9]:
            assert doubts == ["torn or doubtful lungs: expected Dice 0.73 of the fields (doubtful below 0.80)"]
    with pytest.raises(ModelPackageError, match="a number for each"):
        lungs_package(tmp_path / "wrong", maps, masks=["fields", "region"], doubtful_below=[0.9])


def test_packages_of_0_1_0_have_fields_that_are_dilated() -> None:
    golden = Path(__file__).parent / "golden" / "package-format-1" / "lungs.json"
    parameters = read_record(json.loads(golden.read_text()), "old").parameters
    assert (parameters.masks, parameters.doubtful_below) == (["fields"], None)
    assert parameters.postprocess.region == "dilated"
