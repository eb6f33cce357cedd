import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hessdiag.errors import UsageError
from hessdiag.train.checkpoint import KEPT, Checkpoints
from hessdiag.train.seed_run import Observer
from tests.train.driving import assert_same_run, resume

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
    files = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert files == {"2", "2.json", "5", "5.json"}
    assert len(files) == 2 * KEPT


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


def _damage(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


@pytest.mark.parametrize("file", [_metadata, _manifest, _numbers])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_damage_is_named_where_nothing_else_is_left(whole, tmp_path, capfd, file, share):
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    for checkpoint in (copy / "checkpoints").glob("*[0-9]"):
        _damage(file(checkpoint), share)
    with pytest.raises(
        UsageError, match=r"--resume: the checkpoint .* is damaged \(\w+: ."
    ) as raised:
        resume(copy)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""


class Heard(Observer):
    def __init__(self):
        self.troubles: list[str] = []

    def on_trouble(self, message: str) -> None:
        self.troubles.append(message)


def _half_a_checkpoint(run: Path) -> None:
    _damage(_numbers(run / "checkpoints" / "6"), 0.5)


def _last_lines(run: Path) -> None:
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join(lines[:4]) + lines[4][:9])


def _empty_probe(run: Path) -> None:
    _damage(run / "probes" / "probe_000003.nc", 0.0)


@pytest.mark.parametrize("harm", [_half_a_checkpoint, _last_lines, _empty_probe])
def test_a_run_goes_on_from_where_all_is_whole(whole, tmp_path, harm):
    """As after a power cut: nothing differs from the run that was never harmed, and it is told."""
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    harm(copy)
    heard = Heard()
    resume(copy, heard)
    assert len(heard.troubles) == 1
    assert_same_run(copy, whole)
