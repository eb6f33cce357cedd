import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.train.checkpoint import KEPT, Checkpoints
from tests.train.driving import resume

STATE = {
    "weights": jnp.linspace(0.0, 1.0, 6).reshape(2, 3),
    "step": jnp.asarray(3),
    "done": jnp.asarray([True, False]),
    "nothing": jnp.zeros((0, 2)),
    "key": jax.random.key(7),
}


def _as_numpy(leaf) -> np.ndarray:
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints")
    kept.save(4, STATE)
    blank = jax.tree.map(jnp.zeros_like, {k: v for k, v in STATE.items() if k != "key"})
    restored = kept.restore(4, blank | {"key": jax.random.key(0)})
    assert restored.keys() == STATE.keys()
    for name, leaf in STATE.items():
        assert restored[name].dtype == leaf.dtype
        np.testing.assert_array_equal(_as_numpy(restored[name]), _as_numpy(leaf), strict=True)


def test_the_newest_are_kept(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints")
    assert kept.latest() is None
    for iteration in (1, 2, 5):
        kept.save(iteration, STATE)
    assert kept.latest() == 5
    assert len(list((tmp_path / "checkpoints").iterdir())) == KEPT


def test_state_of_another_run_is_refused(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints")
    kept.save(1, STATE)
    with pytest.raises(UsageError, match=rf"--resume: the checkpoint {tmp_path}.*/1 is damaged"):
        kept.restore(1, STATE | {"weights": jnp.zeros((2, 4))})


def _metadata(checkpoint: Path) -> Path:
    return checkpoint / "default" / "_METADATA"


def _manifest(checkpoint: Path) -> Path:
    return checkpoint / "default" / "manifest.ocdbt"


def _numbers(checkpoint: Path) -> Path:
    return max(checkpoint.rglob("d/*"), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("file", [_metadata, _manifest, _numbers])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_damage_is_named(whole, tmp_path, capfd, file, share):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    checkpoint = copy / "checkpoints" / "6"
    damaged = file(checkpoint)
    damaged.write_bytes(damaged.read_bytes()[: int(share * damaged.stat().st_size)])
    message = rf"--resume: the checkpoint {checkpoint} is damaged \(\w+: ."
    with pytest.raises(UsageError, match=message) as raised:
        resume(copy)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""
