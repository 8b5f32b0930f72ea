"""The heat over the film: at the film's size, the film untouched where there is none."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from lunglens.film.dicom.objects import dicom_results, read_source
from lunglens.film.orientation import Orientation
from lunglens.film.picture import colours
from lunglens.film.picture.heat import draw_heat
from lunglens.film.picture.layers import SHOWN_PX
from lunglens.film.preprocess import stretch
from lunglens.film.radiograph import Radiograph, read_radiograph
from tests.support.findings import analyzed
from tests.support.result_films import changed


def gradient(height: int, width: int) -> Radiograph:
    return Radiograph(np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width), "", "array", 8)


@pytest.mark.parametrize("way", [Orientation(), Orientation(1), Orientation(2, mirrored=True)])
@pytest.mark.parametrize("inverted", [False, True])
def test_it_is_the_film_with_the_panel_s_colours_over_it(way: Orientation, inverted: bool) -> None:
    finding = analyzed(gradient(300, 200), to_display=way, inverted=inverted)
    drawn = np.asarray(draw_heat(finding, finding.heat), np.float32)
    film, heat = stretch(way.apply(finding.radiograph.pixels)), way.apply(finding.heat)
    expected = colours.heat_colours(colours.gray_colours(1 - film if inverted else film), heat)
    height, width = film.shape
    assert drawn.shape[1:] == (width, 3)
    assert height < drawn.shape[0] < 1.3 * height  # the words stand below the film, not on it
    assert np.abs(drawn[:height] - expected).max() <= 2
    assert len(np.unique(drawn[height:].reshape(-1, 3), axis=0)) > 10


def test_a_large_film_is_made_smaller() -> None:
    finding = analyzed(gradient(3000, 1500))
    drawn = draw_heat(finding, finding.heat)
    assert drawn.width == SHOWN_PX // 2
    assert SHOWN_PX < drawn.height < 1.1 * SHOWN_PX


def test_the_capture_is_a_jpeg_of_that_picture_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "film.dcm").write_bytes(changed())
    finding = analyzed(read_radiograph(tmp_path / "film.dcm"))
    content = dicom_results(read_source(tmp_path / "film.dcm"), finding).files()["heat.sc.dcm"]
    found = pydicom.dcmread(io.BytesIO(content))
    picture = draw_heat(finding, finding.heat)
    assert (found.Columns, found.Rows) == picture.size
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    (frame,) = pydicom.encaps.generate_frames(found.PixelData, number_of_frames=1)
    decoded = np.asarray(Image.open(io.BytesIO(frame)), np.float32)
    assert np.abs(decoded - np.asarray(picture, np.float32)).mean() < 4
    assert len(content) < found.Columns * found.Rows
