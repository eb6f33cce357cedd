import re
from importlib.metadata import version

import jax

from hessdiag.record.provenance import provenance


def test_a_run_can_be_made_again_from_its_provenance():
    record = provenance("hessdiag run --env mrp")
    assert record["command"] == "hessdiag run --env mrp"
    assert record["versions"]["jax"] == version("jax")
    assert record["precision"] == "float32"
    assert record["matmul_precision"] == "highest"
    assert record["backend"] == jax.default_backend()
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", record["git_revision"])


def test_a_gpu_run_says_which_products_are_exact(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "Hessian-vector products, the backend's default" in provenance("x")["matmul_precision"]
