import os
import re
import sys
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
    assert record["xla_flags"] == os.environ.get("XLA_FLAGS", "")
    assert record["compiler_self_test"] is None
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", record["git_revision"])


def test_a_gpu_run_says_how_exact_products_are_and_how_many_devices_shared_it(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert provenance("x")["matmul_precision"] == "highest"
    record = provenance("x", devices=4, precision="tensorfloat32")
    assert (record["matmul_precision"], record["devices"]) == ("tensorfloat32", 4)


def test_a_cpu_has_one_precision():
    assert provenance("x", precision="bfloat16")["matmul_precision"] == "highest"


def test_the_outcome_of_the_compilers_self_test_is_kept():
    outcome = {"failed": ["reduction"]}
    assert provenance("x", compiler_self_test=outcome)["compiler_self_test"] == outcome


def test_a_reader_without_jax_has_a_provenance_too(monkeypatch):
    monkeypatch.delitem(sys.modules, "jax")
    assert not {"backend", "device"} & provenance("x").keys()
