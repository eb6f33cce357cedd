"""A spectrum measured product by product: ends first, then the trace, the density, the rest."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from hessdiag import spectra
from hessdiag.api.dense import matrix_of, measured, spectrum_of
from hessdiag.api.plan import LARGEST, MOVES, Plan
from hessdiag.api.products import Products
from hessdiag.api.progress import Watch
from hessdiag.spectra.checks import symmetry_limit
from hessdiag.spectra.deflated_trace import DeflatedTrace
from hessdiag.spectra.dense import matrix_defect
from hessdiag.spectra.driven import DrivenLanczos
from hessdiag.spectra.ritz import RitzValues, ends_with_rounding, ritz_values, with_rounding

CHECK_EVERY = 4  # products between two looks at the ends
FEW = 12  # products before ends can count as converged
BASIS_BYTES = 2**31  # up to which a run goes on for its ends
NOISE = 4.0  # what products round at most, over what the product of one sum shows
SENSITIVITY = 4.0  # errors of eigenvalues at most, over what two random moves by rounding make


@dataclasses.dataclass
class Measurement:
    """Numbers so far. Whatever interrupts it, what is there is true.

    Attributes:
        product: v -> A v on flat vectors.
        size, dtype: Of the vectors.
        offsets: Where the leaves begin that have entries.
        narrow: Products may round far more than the dtype says: look how much.
    """

    product: Products
    size: int
    dtype: np.dtype
    offsets: np.ndarray
    narrow: bool
    plan: Plan
    watch: Watch
    runs: list[RitzValues] = dataclasses.field(default_factory=list)
    spent: dict[str, int] = dataclasses.field(default_factory=dict)
    trace: tuple[float, float] = (np.nan, np.nan)
    blocks: tuple[np.ndarray, np.ndarray] | None = None  # their traces
    leaf_ends: list[spectra.Extremes] = dataclasses.field(default_factory=list)
    top: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    vectors: np.ndarray | None = None  # of the largest, one a row
    noise: float = 0.0  # of the products, relative to the norm
    _current: DrivenLanczos | None = None

    def __post_init__(self):
        budget = self.plan.budget
        self._reserve = MOVES if budget and budget > FEW else 0
        seeds = np.random.SeedSequence(self.plan.seed).spawn(4)
        self._starts, self._probes, self._top_random, self._leaf_random = map(
            np.random.default_rng, seeds
        )

    def measure(self) -> None:
        """All that the plan asks for, as far as the budget goes."""
        if self.narrow:
            self._look_at_noise()
        if self.size <= spectra.DENSE_LIMIT:
            self._look_at_sensitivity(*self._whole())
            return
        last = self._ends()
        between = None if last.failed else last.between_ends()
        self._sample_trace(last)
        del last  # whose basis is large
        self._density()
        if self.plan.top:
            self._largest()
        if self.plan.per_leaf:
            self._leaves()
        if between is not None:
            self._look_at_sensitivity(*between)

    def stop(self) -> None:
        """Take in what is there of a run that was interrupted."""
        run, self._current = self._current, None
        if run is not None and run.active and not run.failed:
            self._take(run)

    @property
    def spent_in_all(self) -> int:
        """Products so far."""
        return sum(self.spent.values())

    @property
    def left(self) -> int:
        """Products that the budget still pays for, but for those that look for rounding."""
        budget = self.plan.budget
        return 2**62 if budget is None else max(0, budget - self._reserve - self.spent_in_all)

    def missing(self) -> str:
        """What the plan asks for and is not there, in words; empty where all is."""
        plan, missing = self.plan, []
        if len(self.runs) < plan.starts and not self.runs[0].exact:
            missing.append(f"{plan.starts - len(self.runs)} of {plan.starts} starts")
        if not np.isfinite(self.trace[1]) and not np.isnan(self.runs[0].values[0]):
            missing.append("the trace")
        if plan.top and not self.top:
            missing.append("the largest eigenvalues")
        if plan.per_leaf and len(self.leaf_ends) < len(self.offsets):
            missing.append(f"{len(self.offsets) - len(self.leaf_ends)} leaves")
        return f"not measured: {', '.join(missing)}." if missing else ""

    def spend(self, what: str, count: int = 1) -> None:
        """Count products, and tell who watches."""
        self.spent[what] = self.spent.get(what, 0) + count
        self.watch.note(self.spent_in_all)

    def _normal(self, random: np.random.Generator, size: int) -> np.ndarray:
        return random.standard_normal(size).astype(self.dtype)

    @property
    def explained(self) -> float:
        """What a product was seen to round, relative to the norm; negative where nobody looked."""
        return self.noise / NOISE or -1.0

    def doubt(self, defect: float) -> None:
        """Look at the noise of products where they seem not to be symmetric."""
        if defect > symmetry_limit(self.dtype, self.size) and not self.noise:
            self._look_at_noise()

    def _look_at_noise(self) -> None:
        """A(u + v) - A u - A v, which is rounding alone."""
        u, v = (self._normal(self._probes, self.size) for _ in range(2))
        images = []
        for vector in (u, v, u + v):
            images.append(np.asarray(self.product.one(vector), np.float64))
            self.spend("rounding")
        apart = np.linalg.norm(images[2] - images[0] - images[1])
        size = np.linalg.norm(images[0]) + np.linalg.norm(images[1])
        self.noise = NOISE * float(apart / (size or 1.0))

    def _look_at_sensitivity(self, vector: np.ndarray, image: np.ndarray) -> None:
        """How far rounding on the way to the coefficients moves A x: it is in every error."""
        budget = self.plan.budget
        if not np.isfinite(image).all() or (budget and self.spent_in_all + MOVES > budget):
            return
        apart = 0.0
        for _ in range(MOVES):
            self.product.move(self._probes)
            moved = np.asarray(self.product.one(vector), np.float64)
            self.spend("rounding")
            apart = max(apart, float(np.linalg.norm(moved - image)))
        noise = SENSITIVITY * apart
        self.runs = [with_rounding(run, noise) for run in self.runs]
        self.leaf_ends = [ends_with_rounding(ends, noise) for ends in self.leaf_ends]
        if self.top:
            self.top["error"] = np.maximum(self.top["error"], noise)

    def _whole(self) -> tuple[np.ndarray, np.ndarray]:
        """All of a small operator's matrix; a vector between both ends, and its product."""
        matrix = matrix_of(self.product, self.size, self.dtype, partial(self.spend, "matrix"))
        self.doubt(matrix_defect(np.asarray(matrix, np.float64)))
        noise = self.noise * float(np.linalg.norm(matrix, 2)) if self.noise else 0.0
        found = measured(matrix, self.offsets, explained=self.explained, noise=noise)
        run, self.blocks = found.run, found.block_traces
        self.runs = [run]
        self.trace = float(np.sum(run.values)), float(np.sum(run.errors))
        if self.plan.top:
            self.keep_largest(run.values, run.errors, np.isfinite(run.values), found.vectors)
        if self.plan.per_leaf:
            for first, last in zip(self.offsets, [*self.offsets[1:], self.size], strict=True):
                block = spectrum_of(matrix[first:last, first:last], self.explained, noise)
                self.leaf_ends.append(spectra.extremes([block]))
        return found.between, found.image

    def _ends(self) -> DrivenLanczos:
        """Both ends from two starts, which go on as long as these have not converged."""
        plan, rows = self.plan, BASIS_BYTES // (self.size * self.dtype.itemsize)
        deepest = max(plan.matvecs, min(2 * plan.matvecs, rows))
        depth = FEW if plan.is_scarce else plan.matvecs
        run = None
        for k in range(min(2, plan.starts)):
            share = -(-self.left // (2 - k)) if plan.is_scarce else self.left
            if run is not None and not share:
                break
            run = self._run("ends", depth, min(deepest, max(share, 1)))
        assert run is not None
        return run

    def _density(self) -> None:
        """The other starts, to the depth that is left for each."""
        count = self.plan.starts - len(self.runs)
        for k in range(count):
            depth = min(self.plan.matvecs, self.left // (count - k))
            if depth < min(CHECK_EVERY, self.plan.matvecs):
                return
            self._run("density", depth, depth)

    def _run(self, what: str, depth: int, deepest: int) -> DrivenLanczos:
        """A run to a depth, or, where its ends have not converged there, deeper."""
        plan = self.plan
        start = self._normal(self._starts, self.size)
        run = DrivenLanczos(self.product, start, random=self._starts, offsets=self.offsets)
        self._current = run
        while run.grows and run.active < deepest:
            run.step()
            self.spend(what)
            if run.active % CHECK_EVERY == 0:
                self.watch.show(*run.ends())
                if run.active >= depth and run.has_converged(plan.tolerance):
                    break
        self._current = None
        self._take(run)
        return run

    def _take(self, run: DrivenLanczos) -> None:
        self.runs.append(self._values(run))

    def _values(self, run: DrivenLanczos) -> RitzValues:
        found = run.decomposition(self.plan.tolerance)
        self.doubt(float(found.asymmetry))
        values = ritz_values(found._replace(noise=np.asarray(self.explained)))
        return with_rounding(values, self.noise * run.scale)

    def _sample_trace(self, run: DrivenLanczos) -> None:
        trace = DeflatedTrace(run, self.product, self.offsets)
        count = self.plan.probes if not self.plan.is_scarce else self.left // 3
        for spent in trace.sample(self._probes, min(count, self.left), self.dtype):
            self.spend("trace", spent)
            self.trace, self.blocks = trace.whole(), trace.blocks()
        self.trace, self.blocks = trace.whole(), trace.blocks()

    def _largest(self) -> None:
        plan = self.plan
        most = min(LARGEST * plan.top, self.left)
        if most <= plan.top + 1:
            return

        def product(vector: Any) -> Any:
            image = self.product(vector)
            self.spend("largest")
            return image

        pairs = spectra.eigenpairs(
            product,
            self._normal(self._top_random, self.size),
            num=plan.top,
            max_matvecs=most,
            tolerance=plan.tolerance,
            noise=self.noise,
        )
        self.keep_largest(pairs.values, pairs.errors, np.asarray(pairs.converged), pairs.vectors)

    def keep_largest(self, values, errors, converged, vectors) -> None:
        """Those of largest modulus among eigenpairs, vectors as rows."""
        order = np.argsort(-np.abs(values))[: self.plan.top]
        errors = np.maximum(errors, self.noise * np.max(np.abs(values), initial=0))
        self.top = {
            "value": values[order],
            "error": errors[order],
            "converged": converged[order],
        }
        self.vectors = vectors[order]

    def _leaves(self) -> None:
        """The ends of each leaf's diagonal block, from two starts inside it."""
        ends = [*self.offsets[1:], self.size]
        for first, last in zip(self.offsets, ends, strict=True):
            runs: list[RitzValues] = []
            for _ in range(2):
                if not self.left or (runs and runs[0].matvecs == last - first):
                    break
                runs.append(self._leaf_run(int(first), int(last)))
            if not runs:
                return
            self.leaf_ends.append(spectra.extremes(runs))

    def _leaf_run(self, first: int, last: int) -> RitzValues:
        whole = np.zeros(self.size, self.dtype)

        def product(vector: np.ndarray) -> np.ndarray:
            whole[first:last] = vector
            return np.asarray(self.product(whole))[first:last]

        start = self._normal(self._leaf_random, last - first)
        run = DrivenLanczos(product, start, random=self._leaf_random)
        most = min(self.plan.matvecs, self.left)
        while run.grows and run.active < most:
            run.step()
            self.spend("leaves")
            check = run.active % CHECK_EVERY == 0 and run.active >= FEW
            if check and run.has_converged(self.plan.tolerance):
                break
        return self._values(run)
