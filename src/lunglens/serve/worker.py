"""The process that analyses films for the server: a film that ends it ends nothing else.

It gets tasks over a pipe and answers (status, reason); results are files in the analysis's own folder.
"""

import io
import json
import logging
import multiprocessing
import os
import resource
import signal
import threading
import zipfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from lunglens.errors import LungLensError, NotAChestRadiographError
from lunglens.files import reason_of
from lunglens.film.about import __version__
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.heatmap import view_on_film
from lunglens.film.picture import colours
from lunglens.film.picture.drawing import outline_alpha
from lunglens.film.picture.panel import draw_panel
from lunglens.film.preprocess import Floats, resize, stretch
from lunglens.film.radiograph import Limits, read_radiograph
from lunglens.film.reading.apart import prepare
from lunglens.film.statements import panel_lines
from lunglens.serve.logs import only_our_log

log = logging.getLogger("lunglens.serve")

SHOWN_PX = 2048  # long side of the film in the viewer
LAYER_PX = 1024  # of what is laid over it: as fine as the networks' own grids, four times over
FILM = "film"  # the upload itself; it is removed when its analysis is
TITLE = "Film"  # on pictures: never a file's name, which may hold the patient's


class Task(NamedTuple):
    """What to do with a film in its folder.

    "analyse", "dicom": for the server. "results": all DICOM results of a film, for the node; "tell": a report that says
    that it has none, and the `reason`.
    """

    kind: Literal["analyse", "dicom", "results", "tell"]
    folder: Path
    reason: str = ""


class Answer(NamedTuple):
    """What became of a task.

    status: "analyzed", "refused", "failed" or (of kinds dicom and tell) "done"; "again": it is not the film's fault.
    reason: why it is not the first. ended: what kept the process from answering, "death", "time" or "start".
    study: of kind results, the hashed number of the film's study.
    """

    status: str
    reason: str | None = None
    ended: Literal["", "death", "time", "start"] = ""
    study: str = ""


def work(connection: Connection, limits: Limits, memory_bytes: int) -> None:
    """Load the models, say so, then do tasks until the pipe closes."""
    only_our_log()
    _stand_apart()
    prepare()
    analyzer = Analyzer.load()
    analyzer.prepare()
    # Memory that could be written (RLIMIT_DATA): what libraries only reserve does not count.
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    connection.send(Answer("ready"))
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(answered(task, analyzer, limits))


def _stand_apart() -> None:
    """Live no longer than the server, and in a group of processes that can be ended together."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the pipe
    threading.Thread(target=_end_with_the_server, daemon=True).start()


def _end_with_the_server() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)


def answered(task: Task, analyzer: Analyzer, limits: Limits) -> Answer:
    """Do a task; whatever goes wrong with it is its answer."""
    try:
        return _do(task, analyzer, limits)
    except NotAChestRadiographError as error:
        return Answer("refused", reason_of(error, Path(FILM)))
    except LungLensError as error:
        return Answer("failed", reason_of(error, Path(FILM)))
    except MemoryError:
        return Answer("failed", "not enough memory for this image")
    except OSError as error:
        return Answer("failed", f"the result could not be kept ({error.strerror})")
    except Exception as error:  # its text may hold what the file says of the patient
        log.error("an analysis has failed: %s", type(error).__name__)
        return Answer("failed", f"it could not be analysed ({type(error).__name__})")


def _do(task: Task, analyzer: Analyzer, limits: Limits) -> Answer:
    if task.kind == "analyse":
        return _analyse(task.folder, analyzer, limits)
    if task.kind == "dicom":
        return _dicom(task.folder, analyzer, limits)
    # What only the node needs costs the server nothing.
    from lunglens.serve.results import tell, write_results

    return tell(task.folder, task.reason) if task.kind == "tell" else write_results(task.folder, analyzer, limits)


def _analyse(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    film = read_radiograph(folder / FILM, limits)
    finding = analyzer.analyze(film)
    lines = [line._asdict() for line in panel_lines(finding)]
    # Written plainly: nobody reads before the answer, and a folder that was deleted meanwhile must not come back.
    (folder / "result.json").write_text(json.dumps(finding.to_dict()), encoding="utf-8")
    (folder / "lines.json").write_text(json.dumps({"lines": lines, "version": __version__}), encoding="utf-8")
    for name, picture in _pictures(finding).items():
        (folder / f"{name}.png").write_bytes(_png(picture))
    return Answer(finding.status, finding.reason)


def _dicom(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
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


def _pictures(finding: Analyzed | Refused) -> dict[str, Image.Image]:
    """film: gray; lungs: their outline; heat: its colours; seen: what the classifier saw, in its place; panel.

    All as they are usually displayed, whatever way round the film is stored.
    """
    display = finding.to_display.apply
    film = display(finding.radiograph.pixels)
    shown = stretch(resize(film, *_size(film.shape, SHOWN_PX)))
    found = {"film": _gray(1 - shown if finding.inverted else shown), "panel": draw_panel(finding, TITLE)}
    if isinstance(finding, Refused):
        return found
    height, width = _size(film.shape, LAYER_PX)
    line = outline_alpha(display(finding.lungs), height, width, 2)
    found["lungs"] = _layer(np.broadcast_to(np.array(colours.OUTLINE, np.float32), (height, width, 3)), line)
    if finding.heat is not None:
        heat = np.clip(resize(display(finding.heat), height, width), 0, 1)
        found["heat"] = _layer(colours.inferno()[np.rint(heat * 255).astype(np.intp)], np.sqrt(heat))
    found["seen"] = _gray(view_on_film(finding.classifier_view, finding.view_box, (height, width)))
    return found


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
    """What `_analyse` has left for the report: the finding in words, and LungLens's version."""
    content = json.loads((folder / "lines.json").read_text(encoding="utf-8"))
    return content["lines"], content["version"]
