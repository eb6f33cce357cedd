import json
from pathlib import Path

import jax
import numpy as np
import pytest

from hessdiag.errors import NotFiniteError
from hessdiag.meta.streams import run_keys
from hessdiag.train.checkpoint import Checkpoints
from hessdiag.train.learner import Learner, TrainState
from hessdiag.train.presets import resolve
from tests.train.driving import TINY, fresh, metrics

KEYS = run_keys(0)

NAN = TINY | {"env": "turns_nan:make_problem"}


@pytest.fixture(autouse=True)
def own_module(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def _last_good_state(path: Path) -> tuple[int, TrainState]:
    kept = Checkpoints(path / "checkpoints")
    latest = kept.latest()
    assert latest is not None
    return latest, kept.restore(latest, Learner(resolve(NAN)).init(KEYS.init))


def test_nan_in_training_says_where_and_keeps_the_last_good_state(tmp_path):
    path = tmp_path / "run"
    message = rf"NaN or infinity in the inner loss at iteration 1; the last good.*{path}"
    with pytest.raises(NotFiniteError, match=message) as raised:
        fresh(path, NAN)
    summary = json.loads((path / "summary.json").read_text())
    assert (summary["status"], summary["message"]) == ("failed", str(raised.value))
    assert len(metrics(path).splitlines()) == 1
    iteration, state = _last_good_state(path)
    assert iteration == int(state.inner.step) == 1
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


def test_nan_in_a_probe_says_where(tmp_path):
    path = tmp_path / "run"
    message = r"NaN or infinity in the meta-gradients of a probe at iteration 1; .*saved in"
    with pytest.raises(NotFiniteError, match=message):
        fresh(path, NAN | {"probe.at": [1]})
    assert json.loads((path / "summary.json").read_text())["status"] == "failed"
    assert _last_good_state(path)[0] == 1
    assert not list((path / "probes").iterdir())
