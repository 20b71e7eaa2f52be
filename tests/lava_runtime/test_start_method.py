"""How processes are started does not depend on Python's default, which 3.14 changed."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import tssl
from tests.lava_runtime.networks import dense_net
from tssl import netx
from tssl.engine import run_chunk
from tssl.lava_runtime import BackendOptions, create_backend
from tssl.results import Recording

ALLOWED = {
    "clusters/local.py": {"get_context"},
    "lava_runtime/worker/failures.py": {"active_children"},
    "lava_runtime/worker/shims.py": {"set_start_method"},
}
"""What tssl takes of multiprocessing: nothing that would use the default."""
SET = "import multiprocessing\nmultiprocessing.set_start_method({method!r})\n"
DEFAULT = (
    "from multiprocessing import context\n"
    "context._default_context._default_context = context._concrete_contexts[{method!r}]\n"
)
"""As Python 3.14 has it: not set, but there."""


def test_no_code_relies_on_the_default() -> None:
    package = Path(tssl.__file__).parent
    found = {
        path.relative_to(package).as_posix(): set(re.findall(r"multiprocessing\.(\w+)", text))
        for path in package.rglob("*.py")
        if "multiprocessing" in (text := path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
    pools = (package / "clusters" / "local.py").read_text(encoding="utf-8")
    assert pools.count("ProcessPoolExecutor(") == pools.count("mp_context=context") == 1


@pytest.mark.lava
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("how", [SET, DEFAULT], ids=["set", "default"])
def test_lava_forks_all_the_same(
    how: str, method: str, tmp_path: Path, rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """``sitecustomize`` runs first in every Python, the one that Lava lives in included."""
    (tmp_path / "sitecustomize.py").write_text(
        how.format(method=method) + f"open({str(tmp_path / 'seen')!r}, 'w').close()\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    network = dense_net(rng)
    netx.write(tmp_path / "a.net", network)
    train = rng.integers(0, 2, (8, 2, network.input.neurons))
    backend = create_backend("sim", BackendOptions(net_path=tmp_path / "a.net"))
    chunks = [recording for _, recording in backend.run(network, train, 8, lambda _: None)]
    expected = run_chunk(network, train, 8)
    output = network.layers[-1].name
    assert expected.trains[output].any()
    assert np.array_equal(Recording.joined(chunks).trains[output], expected.trains[output])
    assert (tmp_path / "seen").exists()
