from pathlib import Path

import pytest

from tests.train.compilation_cache import compilation_cache
from tests.train.driving import TINY, fresh
from tests.train.shared_programs import fresh_programs, shared_programs

__all__ = ["compilation_cache", "fresh_programs", "shared_programs", "whole"]


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that nothing interrupted; tests must not change it."""
    return fresh(tmp_path_factory.mktemp("whole") / "run", TINY)
