from tests.train.compilation_cache import compilation_cache
from tests.train.shared_programs import shared_programs

__all__ = ["compilation_cache", "shared_programs"]
