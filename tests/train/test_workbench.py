"""The names that one's own code may import, and that they cost nothing until they are used."""

import subprocess
import sys

import pytest

import lunglens.evaluate
import lunglens.train


@pytest.mark.parametrize("face", [lunglens.train, lunglens.evaluate])
def test_every_documented_name_is_there(face: object) -> None:
    for name in face.__all__:  # type: ignore[attr-defined]
        assert callable(getattr(face, name)), name
    with pytest.raises(AttributeError, match="has no Nonsense"):
        face.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_workbench_imports_torch_only_when_it_is_asked_for_a_network() -> None:
    program = (
        "import sys, lunglens.train, lunglens.evaluate; print({'torch', 'pandas'} & set(sys.modules)); "
        "from lunglens.train import UNet; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["set()", "True"]
