"""What stands in deploy/: Orthanc sends films on by itself and keeps the results, systemd takes the units, the
container's file names what there is."""

import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pynetdicom.sop_class import ComputedRadiographyImageStorage
from typer.main import get_command

from lunglens.cli.main import app
from lunglens.film.analyzer import Analyzer
from lunglens.film.dicom import DICOM_FILES
from lunglens.serve.settings import Peer
from tests.support.node_parts import associate, node, small_film
from tests.support.waiting import free_port, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="needs Orthanc")
def test_orthanc_sends_films_on_and_results_come_back_once(rg_folder: Path, analyzer: Analyzer, tmp_path: Path) -> None:
    dicom, http, ours = free_port(), free_port(), free_port()
    route = json.loads((DEPLOY / "orthanc" / "lunglens.json").read_text())
    assert route["DicomModalities"]["lunglens"]["Port"] == 11112
    route["DicomModalities"]["lunglens"]["Port"] = ours
    route["LuaScripts"] = [str(DEPLOY / "orthanc" / "lunglens.lua")]
    own = {"DicomAet": "ORTHANC", "DicomPort": dicom, "HttpPort": http, "StorageDirectory": str(tmp_path / "o")}
    own |= {"IndexDirectory": str(tmp_path / "o"), "AuthenticationEnabled": False, "Plugins": []}
    (tmp_path / "orthanc.json").write_text(json.dumps(own | route))
    film = small_film(rg_folder / "RG1_UNCR.dcm")
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(["Orthanc", str(tmp_path / "orthanc.json")], stdout=log, stderr=log)

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def is_up() -> bool:
        try:
            return bool(ask("/system"))
        except OSError:
            return False

    try:
        wait_until(is_up)
        there = Peer("ORTHANC", "127.0.0.1", dicom)
        asked: dict[str, Any] = {"peers": (there,), "commitment": (str(there),), "commitment_s": (0.1, 3600.0)}
        with node(tmp_path / "spool", dicom, analyzer, port=ours, **asked) as running:
            association = associate(dicom, ComputedRadiographyImageStorage, called="ORTHANC")
            assert association.send_c_store(film).Status == 0
            association.release()
            wait_until(lambda: len(ask("/instances")) == 1 + len(DICOM_FILES))
            places = running.spool.outgoing, running.spool.uncommitted
            wait_until(lambda: not any(any(place.iterdir()) for place in places))  # Orthanc has committed to all
            assert running.spool.count() == 0  # no result was taken for a film
        assert len(ask("/studies")) == 1
        kinds = [ask(f"/series/{series}")["MainDicomTags"]["Modality"] for series in ask("/series")]
        assert sorted(kinds) == ["CR", "OT", "OT", "PR", "SEG", "SEG", "SR"]
    finally:
        server.kill()
        server.wait()


def test_other_objects_are_not_sent_on() -> None:
    script = (DEPLOY / "orthanc" / "lunglens.lua").read_text()
    named = set(re.findall(r"\['(1\.2\.[\d.]+)'\]", script))
    from lunglens.serve.receiver import _TAKEN

    assert named == {str(kind) for kind in _TAKEN}
    assert pydicom.uid.SegmentationStorage not in named


@pytest.mark.parametrize("unit", UNITS, ids=[unit.stem for unit in UNITS])
def test_a_unit_is_one_that_systemd_takes_and_its_command_one_of_ours(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    [command] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    program, verb, *options = shlex.split(command)
    assert program == "/opt/lunglens/bin/lunglens"
    get_command(app).commands[verb].make_context(verb, list(options))  # type: ignore[attr-defined]
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    tried = tmp_path / unit.name
    tried.write_text(text.replace(program, "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", str(tried)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert unit.name not in checked.stderr


def test_the_container_file_names_what_there_is() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text().replace("\\\n", "")
    [health] = re.findall(r"^HEALTHCHECK .*CMD (\[.+\])$", text, re.MULTILINE)
    [entry], [command] = (re.findall(rf"^{word} (\[.+\])$", text, re.MULTILINE) for word in ("ENTRYPOINT", "CMD"))
    verb, *options = json.loads(command)
    assert json.loads(entry) == ["lunglens"]
    found = get_command(app).commands[verb].make_context(verb, list(options)).params  # type: ignore[attr-defined]
    assert f"install -D -m 0600 -o 10001 -g 10001 /dev/null {found['token_file']}" in text  # to be mounted over
    assert f"http://127.0.0.1:{found['port']}/readyz" in json.loads(health)[-1]
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((DEPLOY.parent / source).exists() for source in sources.split())
