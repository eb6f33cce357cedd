"""A sample of what `benchmarks.fuzz` does for minutes."""

import random

import pytest

from tests.record.fuzzing import REPORTS, Readers, survey

COUNTS = {
    "whole run": 10,
    "whole run by its summary": 5,
    "whole study": 10,
    "study of bias": 15,
    "point of it": 25,
    "note of a point": 15,
    "probe": 25,
    "results.json": 5,
}


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return Readers(tmp_path_factory.mktemp("fuzz"), REPORTS / "snake-n5").all


NAMES = ("config.json", "summary.json", "metrics.jsonl", "study.json", "TOML", "TOML alone")


@pytest.mark.parametrize("name", [*NAMES, *COUNTS])
def test_readers_return_or_refuse_in_one_line(readers, name):
    file, read = readers[name]
    count = COUNTS.get(name, 60)
    counts, wrong = survey(file, read, random.Random(name), count=count, seconds=60.0)
    assert wrong == []
    assert set(counts) <= {"read", "refused"}
    assert counts["refused"] > 0 or name == "summary.json"
