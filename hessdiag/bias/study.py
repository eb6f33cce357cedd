"""Running a study of bias: every point that is not measured yet, and the report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hessdiag.bias.measure import Measurer
from hessdiag.bias.plan import Plan, Point
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
        observe: hears how many points are done, of how many, and of the one that is next.
        conclude: makes the report of what there is.
    """

    directory: SweepDirectory
    plan: Plan
    stop: StopRequest
    observe: Callable[[int, int, str], object]
    conclude: Callable[[], object]

    def go(self) -> None:
        """Measure what is left.

        Raises:
            Interrupted: a stop was requested; everything is saved.
            UsageError: a reference is not exact.
        """
        points = self.plan.points()
        with locked(self.directory.path):
            left = [p for p in points if self.directory.measured(p.slug) is None]
            measure = Measurer()
            try:
                for number, point in enumerate(left, start=len(points) - len(left)):
                    self.stop.check()
                    self.observe(number, len(points), point.slug)
                    dataset = measure(point, self.plan.sweep_of(point))
                    self.directory.write(point.slug, dataset)
            finally:
                self.conclude()
        self.observe(len(points), len(points), "")


def said_of(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """What study.json says of every point, by the slug of its file."""
    return {
        point.slug: {"sweep": point.sweep, "curve": _name(point), "at": point.at}
        for point in plan.points()
    }


def _name(point: Point) -> str:
    """Of its curve, such as "estimator=lsf"."""
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in point.curve.items())
