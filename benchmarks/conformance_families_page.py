"""The part of docs/conformance.md on families of random operators."""

from collections.abc import Mapping
from typing import Any

from benchmarks.conformance_families import DEPTH, SIZE, TRACES, kinds
from tests.oracles.claims import STARTS
from tests.oracles.families_of_spectra import SPECTRA

ASSUMED = """\
A bound assumes that the operator is symmetric and the same at every product, and that its products
round by no more than 16 eps ‖A‖ or what hessdiag measures of them: then an eigenvalue lies within
it. That none lies beyond an end, and the 95 % of shares and traces, assume random starts, of which
one has its share of the eigenvector at the end (0.05/√d: four starts all miss it once in 400,000).
"""

CLAIMS = f"""\
Each family is a generator of random operators of one kind; the truth is float64. hessdiag makes
{STARTS} Lanczos runs of at most {DEPTH} products. **Intervals** are those of all Ritz values of all
runs; one is broken if no eigenvalue is in it. **Yes or no** answers whether the spectral radius of
I − αH exceeds one, for α around 2 / ‖A‖; **undecided** is the third answer. **Both ends** counts
operators: *wrong* if an end is called converged (by starts that agree) and the true one is not
within the stated error, *unsure* if the library says that it has not converged, or refuses. The
others get the same question, with {DEPTH} products where they want a number; a library that states
no error is granted 0.001 ‖A‖, and one that fails is wrong. "–": it takes losses alone, and the
family is made of products; and curvlinops gives its products to SciPy's ARPACK. The median error
is that of the ends, relative to ‖A‖. The families from "hidden outlier" to "zeros in a bulk" are
dense matrices of {SIZE} rows.
"""

COVERED = """\
How often the truth lies within ±, which should be in 95 % of the tries. Shares are those of
negative eigenvalues, by four starts. What Lanczos has not resolved of them is bounded by a theorem
on quadratures and held always; and where a handful of eigenvalues is meant, ± reaches to the
farther end of an interval that is not symmetric. In these two cases the coverage is above 95 %, and
meant to be; where the share is resolved, and of many eigenvalues, it is 95 %. Traces are by number
of products; their ± is relative to Σ|λ|. matfree and hessian-eigenthings state standard errors, of
which 1.96 are taken; the others state none.
"""


def sections(kept: Mapping[str, Mapping[str, Any]], names: list[str]) -> list[str]:
    """Both tables, with what they count."""
    return [
        "## What a bound assumes",
        "",
        ASSUMED,
        "## Families of random operators",
        "",
        CLAIMS,
        *_claims(kept, names),
        "",
        "## Coverage",
        "",
        COVERED,
        *_coverage(kept),
        "",
    ]


def _claims(kept: Mapping[str, Mapping[str, Any]], names: list[str]) -> list[str]:
    heads = ["family", "operators", "refused", "intervals", "broken", "yes or no", "wrong"]
    heads += ["undecided", "median error", *(f"ends: {name}" for name in names)]
    rows = []
    for family in kinds():
        ours = kept["hessdiag"]["claims"][family]
        cells = [family, *(ours[key] for key in ("tried", "refused", "intervals", "broken"))]
        cells += [ours["verdicts"], ours["wrong"], ours["undecided"], f"{ours['width']:.1e}"]
        cells.append(_ends(ours["tried"], ours["missed"], ours["tried"] - ours["sure"]))
        others = (made["ends"][family] for name, made in kept.items() if name != "hessdiag")
        cells += ["–" if made is None else _ends(*made) for made in others]
        rows.append(cells)
    counts = [sum(row[i] for row in rows) for i in (1, 2, 3, 4, 5, 6, 7)]
    rows.append(["**all**", *counts, "", *[""] * len(names)])
    return _markdown(heads, rows)


def _ends(tried: int, wrong: int, unsure: int) -> str:
    said = f", {unsure} unsure" if unsure else ""
    shown = f"**{wrong} wrong**" if wrong else "0 wrong"
    return f"{shown}{said} of {tried}"


def _coverage(kept: Mapping[str, Mapping[str, Any]]) -> list[str]:
    ours = kept["hessdiag"]["coverage"]
    heads = ["family", "tries", "shares", "±", "of which open"]
    heads += [f"trace, {n}" for n in TRACES] + [f"±, {TRACES[-1]}"]
    others = {"matfree": "matfree", "eigenthings": "hessian-eigenthings"}
    heads += [f"{name}, trace, {n}" for name in others.values() for n in TRACES]
    rows = []
    for family in SPECTRA:
        made = ours[family]
        shares = made["shares"]
        cells = [family, shares["tried"], f"{shares['held']:.1%}", f"{shares['width']:.2g}"]
        cells.append(f"{shares['open'] if shares['open'] > 1e-9 else 0:.2g}")
        cells += [f"{made[f'trace {n}']['held']:.1%}" for n in TRACES]
        cells.append(f"{made[f'trace {TRACES[-1]}']['width']:.1e}")
        for library in others:
            theirs = kept[library]["coverage"][family]
            found = (theirs.get(f"trace {n}") for n in TRACES)
            cells += ["refused" if it is None else f"{it['held']:.1%}" for it in found]
        rows.append(cells)
    return _markdown(heads, rows)


def _markdown(heads: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows]
