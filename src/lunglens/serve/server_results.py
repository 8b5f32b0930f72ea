"""What the analysing process leaves of a film for the server: the finding, its words and its pictures."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from lunglens.film.about import __version__
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.heatmap import view_on_film
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import outline_alpha
from lunglens.film.picture.panel import draw_panel
from lunglens.film.preprocess import Floats, resize, stretch
from lunglens.film.radiograph import Limits, read_radiograph
from lunglens.film.statements import panel_lines
from lunglens.serve.task import FILM, Answer

_SHOWN_PX = 2048  # long side of the film in the viewer
_LAYER_PX = 1024  # of what is laid over it: as fine as the networks' own grids, four times over
TITLE = "Film"  # on pictures: never a file's name, which may hold the patient's


def analyse(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """Analyse the film in a folder; finding, words and pictures are left beside it."""
    finding = analyzer.analyze(read_radiograph(folder / FILM, limits))
    lines = [line._asdict() for line in panel_lines(finding)]
    # Written plainly: nobody reads before the answer, and a folder that was deleted meanwhile must not come back.
    (folder / "result.json").write_text(json.dumps(finding.to_dict()), encoding="utf-8")
    (folder / "lines.json").write_text(json.dumps({"lines": lines, "version": __version__}), encoding="utf-8")
    for name, picture in pictures_of(finding).items():
        (folder / f"{name}.png").write_bytes(_png(picture))
    return Answer.of(finding)


def export_dicom(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """All DICOM objects as a ZIP archive; the film is analysed again, which is cheaper than keeping all its arrays."""
    from lunglens.film.dicom import dicom_results, read_source

    source = read_source(folder / FILM)
    results = dicom_results(source, analyzer.analyze(read_radiograph(folder / FILM, limits))).files()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in results.items():
            archive.writestr(name, content)
    (folder / "dicom.zip").write_bytes(stream.getvalue())
    return Answer("done")


def pictures_of(finding: Analyzed | Refused) -> dict[str, Image.Image]:
    """film: gray; lungs: their outline; heat: its colours; seen: what the classifier saw, in its place; panel.

    All as they are usually displayed, whatever way round the film is stored.
    """
    display = finding.to_display.apply
    film = display(finding.radiograph.pixels)
    shown = stretch(resize(film, *_size(film.shape, _SHOWN_PX)))
    pictures = {"film": _gray(1 - shown if finding.inverted else shown), "panel": draw_panel(finding, TITLE)}
    if isinstance(finding, Refused):
        return pictures
    height, width = _size(film.shape, _LAYER_PX)
    line = outline_alpha(display(finding.lungs), height, width, 2)
    pictures["lungs"] = _layer(np.broadcast_to(np.array(colours.OUTLINE, np.float32), (height, width, 3)), line)
    if finding.heat is not None:
        heat = np.clip(resize(display(finding.heat), height, width), 0, 1)
        pictures["heat"] = _layer(colours.inferno()[np.rint(heat * 255).astype(np.intp)], np.sqrt(heat))
    pictures["seen"] = _gray(view_on_film(finding.classifier_view, finding.view_box, (height, width)))
    return pictures


def _size(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Height and width of a picture of a film of (H, W), no larger than the film."""
    scale = min(1.0, longest / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _gray(pixels: Floats) -> Image.Image:
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def _layer(colour: Floats, alpha: Floats) -> Image.Image:
    """(H, W, 3) colours 0..255 and (H, W) opacity 0..1 as an RGBA picture."""
    pixels = np.concatenate([colour, np.clip(alpha, 0, 1)[..., None] * 255], axis=2)
    return Image.fromarray(np.rint(pixels).astype(np.uint8), "RGBA")


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def lines_of(folder: Path) -> tuple[list[dict[str, str]], str]:
    """What `analyse` has left for the report: the finding in words, and LungLens's version."""
    content = json.loads((folder / "lines.json").read_text(encoding="utf-8"))
    return content["lines"], content["version"]
