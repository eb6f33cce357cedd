"""A child process that holds one library and runs it on demand, so that its memory is its own."""

import importlib
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psutil

TORCH = ("curvlinops", "eigenthings", "pyhessian")


class Outcome(NamedTuple):
    """One call.

    Attributes:
        answer: `Found` or `Measure`; None if the call failed.
        seconds: Wall time.
        mebibytes: Peak of resident memory during the call, less what was resident before it.
        failure: What went wrong, in the library's words.
    """

    answer: Any
    seconds: float
    mebibytes: float
    failure: str | None = None


class Worker:
    """One library in a process of its own, on what a function of a module makes, or on Snake's."""

    def __init__(self, library: str, make: Callable[[], Any] | None = None):
        self.library = library
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(library, make, there), daemon=True)
        self._process.start()
        there.close()

    def call(self, method: str, *arguments) -> Outcome:
        """Run one method of the peer and wait for it."""
        self._here.send((method, arguments))
        return self._here.recv()

    def close(self) -> None:
        """End the process."""
        self._here.send(None)
        self._process.join()


def make_peer(library: str, make: Callable[[], Any] | None = None):
    """The peer on a target or the Snake network's Hessian; imports no other library."""
    module = importlib.import_module(f"benchmarks.peers.with_{library}")
    if make is not None:
        return module.Peer(make())
    if library in TORCH:
        from benchmarks.torch_snake import torch_snake

        return (getattr(module, "of_loss", None) or module.Peer)(torch_snake())
    from benchmarks.peers.target import snake_target

    return module.Peer(snake_target())


def _serve(library: str, make: Callable[[], Any] | None, connection: Connection) -> None:
    peer = make_peer(library, make)
    while (request := connection.recv()) is not None:
        method, arguments = request
        connection.send(_measured(getattr(peer, method, None), arguments))


def _measured(function, arguments) -> Outcome:
    if function is None:
        return Outcome(None, float("nan"), float("nan"), "not offered")
    resident = psutil.Process().memory_info().rss / 2**20
    _forget_peak()
    began = time.perf_counter()
    try:
        answer, failure = function(*arguments), None
    except Exception as error:  # a library's failure is a result here
        answer, failure = None, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return Outcome(answer, seconds, peak - resident, failure)


def _forget_peak() -> None:
    """Linux forgets the high-water mark on request; elsewhere set-up may hide a small peak."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5", encoding="ascii")
