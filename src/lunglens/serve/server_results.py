"""What the analysing process leaves of a film for the server: finding and words; on demand pictures and more."""

import io
import json
import logging
import secrets
import zipfile
from pathlib import Path

from PIL import Image

from lunglens.film.about import __version__
from lunglens.film.analyzer import Analyzer
from lunglens.film.finding import Analyzed, Refused
from lunglens.film.finding_record import FindingRecord
from lunglens.film.language import from_json, to_json
from lunglens.film.picture.layers import layer_names, layers_of, thumbnail
from lunglens.film.picture.panel import draw_panel
from lunglens.film.picture.stored import stored_bytes
from lunglens.film.radiograph import Limits, read_radiograph
from lunglens.film.statements import Line, panel_lines
from lunglens.serve.dicom_json import INSTANCES, STUDY, instance_record, study_record
from lunglens.serve.task import FILM, Answer

log = logging.getLogger("lunglens.serve")
TITLE = "Film"  # on pictures: never a file's name, which may hold the patient's


def analyse(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """Analyse the film in a folder; finding and words are left beside it, and which pictures can be had."""
    finding = _finding(folder, analyzer, limits)
    lines = [(line.kind, to_json(line.label), to_json(line.text)) for line in panel_lines(finding)]
    # Written plainly: nobody reads before the answer, and a folder that was deleted meanwhile must not come back.
    (folder / "result.json").write_text(json.dumps(finding.to_dict()), encoding="utf-8")
    said = {"lines": lines, "version": __version__, "pictures": ["thumb", *layer_names(finding), "panel"]}
    (folder / "lines.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "thumb.png").write_bytes(_png(thumbnail(finding)))
    _keep_study(folder, finding)
    return Answer.of(finding)


_last: dict[Path, Analyzed | Refused] = {}  # at most one: most often that is the film which somebody looks at now


def _finding(folder: Path, analyzer: Analyzer, limits: Limits) -> Analyzed | Refused:
    """Of the film in a folder; any but the last is analysed again: keeping all their arrays would cost more."""
    if folder not in _last:
        _last.clear()  # first: two of the largest films would be too many
        _last[folder] = analyzer.analyze(read_radiograph(folder / FILM, limits))
    return _last[folder]


def _keep_study(folder: Path, finding: Analyzed | Refused) -> None:
    """What a search for studies says of the film's results, before any is made; nothing where none can be made."""
    from lunglens.film.dicom.objects import NoDicomSourceError, modalities_of, read_source

    try:
        source = read_source(folder / FILM)
        record = json.dumps(study_record(source, modalities_of(source, finding)))
    except NoDicomSourceError:
        return
    except Exception as error:  # a header that no search can tell of costs the film no answer
        log.warning("a film's study cannot be searched for: %s", type(error).__name__)
        return
    (folder / STUDY).write_text(record, encoding="utf-8")


def export_dicom(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """All DICOM objects as a ZIP archive."""
    from pydicom import dcmread

    from lunglens.film.dicom.objects import dicom_results, read_source

    source = read_source(folder / FILM)
    results = dicom_results(source, _finding(folder, analyzer, limits)).files()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in results.items():
            archive.writestr(name, content)
    records = {name: instance_record(dcmread(io.BytesIO(content))) for name, content in results.items()}
    _write(folder / INSTANCES, json.dumps(records).encode())
    _write(folder / "dicom.zip", stream.getvalue())
    return Answer("done")


def export_pictures(folder: Path, analyzer: Analyzer, limits: Limits) -> Answer:
    """All pictures; most films of a long list are never looked at, and to draw one takes as long as to analyse it."""
    finding = _finding(folder, analyzer, limits)
    for name, picture in (layers_of(finding) | {"panel": draw_panel(finding, TITLE)}).items():
        _write(folder / f"{name}.png", _png(picture))  # the panel last: where it is, all are
    return Answer("done")


def export_stored(folder: Path, _analyzer: Analyzer, limits: Limits) -> Answer:
    """The film's own values, for the viewer; it is read again, for hardly any film is looked at so closely."""
    record = FindingRecord.model_validate_json((folder / "result.json").read_bytes())
    film = read_radiograph(folder / FILM, limits, keep_stored=True)
    _write(folder / "stored.bin", stored_bytes(film, record))
    return Answer("done")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, for who asks while another's is being made; a folder that was deleted does not come back."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_bytes(content)
    part.replace(path)


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


DO = {"analyse": analyse, "pictures": export_pictures, "dicom": export_dicom, "stored": export_stored}


def pictures_of(folder: Path) -> list[str]:
    """Names of the pictures that can be had of a film; none of one that has no finding."""
    path = folder / "lines.json"
    found: list[str] = json.loads(path.read_text(encoding="utf-8"))["pictures"] if path.is_file() else []
    return found


def lines_of(folder: Path) -> tuple[list[Line], str]:
    """What `analyse` has left for the report: the finding in words, and LungLens's version."""
    content = json.loads((folder / "lines.json").read_text(encoding="utf-8"))
    lines = [Line(kind, from_json(label), from_json(text)) for kind, label, text in content["lines"]]
    return lines, content["version"]
