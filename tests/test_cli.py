"""The command line's manners."""

import subprocess
import sys
from pathlib import Path

from tests.test_batch import run_cli


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['lunglens', '--help']\n"
        "from lunglens.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print('HEAVY', sorted({'numpy', 'onnxruntime', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    for verb in ("analyze", "segment", "verify", "train", "evaluate"):
        assert verb in done.stdout
    assert "HEAVY []" in done.stdout


def test_verify_shipped_models() -> None:
    done = run_cli("verify")
    assert done.returncode == 0
    assert done.stdout.count("good") == 2


def test_verify_a_folder_that_is_no_package(tmp_path: Path) -> None:
    done = run_cli("verify", tmp_path)
    assert done.returncode == 2
    assert "package.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[lungs]\ninput_sise = 256\n")
    done = run_cli("train", "lungs", "--data", tmp_path, "--out", tmp_path / "o", "--config", config)
    assert done.returncode == 2
    assert "input_sise" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_data_is_one_line(tmp_path: Path) -> None:
    done = run_cli("train", "lungs", "--data", tmp_path / "nowhere", "--out", tmp_path / "o")
    assert done.returncode == 2
    assert "montgomery" in done.stderr
    assert "Traceback" not in done.stderr
