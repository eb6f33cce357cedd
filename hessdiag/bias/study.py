"""Running a study of bias: every point that is not measured yet, and the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hessdiag.bias.executors import Executor, here
from hessdiag.bias.plan import Plan, Point
from hessdiag.errors import UsageError
from hessdiag.probes.chunks import unheard
from hessdiag.record.lock import locked
from hessdiag.record.sweep_directory import SweepDirectory
from hessdiag.train.interrupt import StopRequest


@dataclass(frozen=True)
class BiasStudy:
    """One study, new or resumed, to be driven to its end.

    Attributes:
        directory: of the study.
        plan: what it measures.
        stop: asked before every point.
        observe: hears how many points are done, of how many, and which was the last; None at first.
        conclude: makes the report of what there is.
        executor: measures points.
        tell: hears of points that are measured again, and why.
    """

    directory: SweepDirectory
    plan: Plan
    stop: StopRequest
    observe: Callable[[int, int, str | None], object]
    conclude: Callable[[], object]
    executor: Executor = here
    tell: Callable[[str], object] = unheard

    def go(self) -> None:
        """Measure what is left.

        Raises:
            Interrupted: a stop was requested; everything is saved.
            OSError: a process that measures was lost, or a file cannot be written.
            UsageError: a reference is not exact, or something there is another study's.
        """
        points = self.plan.points()
        with locked(self.directory.path):
            SweepDirectory.open(self.directory.path)  # of another study nothing is measured again
            left = [point for point in points if not self._is_measured(point)]
            done = len(points) - len(left)
            self.observe(done, len(points), None)
            try:
                for point, dataset in self.executor(self.plan, left, self.stop):
                    self.directory.write(point.slug, dataset)
                    done += 1
                    self.observe(done, len(points), point.slug)
            finally:
                self.conclude()

    def _is_measured(self, point: Point) -> bool:
        """Whether it is, and is whole; else nothing of it is kept."""
        try:
            return self.directory.measured(point.slug) is not None
        except UsageError as error:
            self.tell(f"{error}; it is measured again")
            self.directory.forget(point.slug)
            return False


def said_of(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """What study.json says of every point, by the slug of its file."""
    return {
        point.slug: {"sweep": point.sweep, "curve": _name(point), "at": point.at}
        for point in plan.points()
    }


def _name(point: Point) -> str:
    """Of its curve, such as "estimator=lsf"."""
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in point.curve.items())
