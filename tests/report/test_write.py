import hashlib
import math
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import xarray as xr

from hessdiag.record.atomic import write_atomically
from hessdiag.report import write_report
from hessdiag.report.figures.registry import FIGURES
from tests.oracles.run_directory import OPERATORS, make_run_directory

_FETCHING = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.addresses += [value for name, value in attrs if name in _FETCHING and value]


def _hashes(directory: Path) -> dict[str, str]:
    files = [directory / "report.html", *sorted((directory / "figures").iterdir())]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn but not rendered, where only their presence is looked at."""
    blank = b'<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt" viewBox="0 0 1 1"/>'
    monkeypatch.setattr("hessdiag.report.figures.files.saved", lambda *_: blank)


def test_every_figure_has_its_files(written: Path) -> None:
    names = {path.name for path in (written / "figures").iterdir()}
    expected = {f"{s.slug}.{kind}" for s in FIGURES for kind in ("png", "svg", "csv")}
    assert names == expected | {"probes.csv"}


def test_report_is_deterministic(written: Path) -> None:
    before = _hashes(written)
    write_report(written)
    assert _hashes(written) == before


def test_page_asks_for_nothing(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    for address in page.addresses:
        assert address.startswith(("#", "figures/", "data:,")), address
    assert not {"script", "iframe", "img", "object", "embed"} & set(page.tags)
    assert page.tags.count("link") == 1  # the empty icon
    assert "@import" not in text
    assert "://" not in text


def test_anchors_and_relative_links_resolve(written: Path) -> None:
    page = _Page((written / "report.html").read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    for address in page.addresses:
        if address.startswith("#"):
            assert address[1:] in page.ids
        elif address.startswith("figures/"):
            assert (written / address).is_file()


def test_text_of_the_run_is_escaped(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    assert "&lt;angle&gt;" in text
    assert "<angle>" not in text


def test_page_names_its_numbers(written: Path) -> None:
    text = (written / "report.html").read_text(encoding="utf-8")
    for words in ("with respect to the unconstrained η", "60 spectra, each from 96 Hessian–vector"):
        assert words in text
    for caption in (
        "Error bars:",
        "Bands: 95\u00a0%",
        "one standard error",
        "first-order error, which bounds nothing",
        "balanced coordinates",
        "does not exclude that perturbations grow for a while",
    ):
        assert caption in text


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("probes", [0, 1, 3])
def test_run_without_meta_gradients(tmp_path: Path, probes: int) -> None:
    directory = make_run_directory(tmp_path / "run", n=0, probes=probes, logged=20)
    text = write_report(directory).read_text(encoding="utf-8")
    assert "There is no finding" in text
    assert ('id="eigenvalue-extremes"' in text) == (probes > 0)
    assert 'id="growth"' not in text
    assert 'id="std"' not in text


def test_horizon_one_has_spread_but_no_growth(tmp_path: Path) -> None:
    directory = make_run_directory(tmp_path / "run", n=1, probes=2, logged=20)
    text = write_report(directory).read_text(encoding="utf-8")
    assert 'id="std"' in text
    assert 'id="growth"' not in text


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(
    ("gone", "figures"),
    [
        (["paper_low"], {"eigenvalue-extremes"}),
        (["density", "cumulative_se"], {"spectral-density", "cumulative-spectrum"}),
        (["growth"], {"growth", "measured-predicted"}),
        (["prediction", "std"], {"measured-predicted", "std"}),
        (["exceeds_one", "ritz_value", "mass_above_zero", "matvecs"], set()),
        (["operator_radius_minus_one"], {"operators"}),
        (["product_norm_minus_one", "operator_value_imag"], {"products", "operator-plane"}),
        (["departure", "operator_radius_estimate", "operator_value_error"], set()),
        (["operator_exceeds_one", "operator_radius_error", "product_norm_error"], set()),
        (["operator_value_estimate", "product_exceeds_one", "operator_frobenius"], set()),
    ],
)
def test_missing_variables_cost_only_their_figures(
    tmp_path: Path, gone: list[str], figures: set[str]
) -> None:
    directory = make_run_directory(tmp_path / "run", n=2, probes=1, logged=10)
    for path in (directory / "probes").iterdir():
        probe = xr.load_dataset(path, engine="h5netcdf").drop_vars(gone)
        probe.to_netcdf(path, engine="h5netcdf")
    text = write_report(directory).read_text(encoding="utf-8")
    missing = {spec.slug for spec in FIGURES if f'<figure id="{spec.slug}">' not in text}
    assert missing == figures


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_degenerate_numbers_are_shown_not_tripped_over(tmp_path: Path, value: float) -> None:
    directory = make_run_directory(tmp_path / "run", n=2, probes=1, logged=10)
    for path in (directory / "probes").iterdir():
        probe = xr.load_dataset(path, engine="h5netcdf")
        for name in probe.data_vars:
            if probe[name].dtype.kind == "f":
                probe[name] = xr.full_like(probe[name], value)
        probe.to_netcdf(path, engine="h5netcdf")
    text = write_report(directory).read_text(encoding="utf-8")
    assert text.count("<figure ") == len(FIGURES)


_OPERATOR_FIGURES = {"operators", "products", "operator-plane"}


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(
    ("operators", "products", "figures"),
    [
        ((), False, set()),
        (("paper",), False, set()),
        (("paper",), True, {"products"}),
        (("augmented",), True, _OPERATOR_FIGURES),
        (("paper", "preconditioned"), True, {"operators", "products"}),
        (("paper", "update"), False, {"operators", "operator-plane"}),
    ],
)
def test_runs_with_fewer_operators(
    tmp_path: Path, operators: tuple[str, ...], products: bool, figures: set[str]
) -> None:
    directory = make_run_directory(
        tmp_path / "run", n=2, probes=1, logged=10, operators=operators, products=products
    )
    text = write_report(directory).read_text(encoding="utf-8")
    drawn = {spec.slug for spec in FIGURES if f'<figure id="{spec.slug}">' in text}
    assert drawn & _OPERATOR_FIGURES == figures
    assert ('id="inner-update"' in text) == bool(figures)
    assert ('href="#inner-update"' in text) == bool(figures)
    assert ('id="operators-100"' in text) == bool(operators)
    assert ('id="products-100"' in text) == products


def test_one_inner_step_has_operators_but_no_product(tmp_path: Path) -> None:
    directory = make_run_directory(tmp_path / "run", n=1, probes=2, logged=10)
    text = write_report(directory).read_text(encoding="utf-8")
    assert '<figure id="operators">' in text
    assert '<figure id="operator-plane">' in text
    assert '<figure id="products">' not in text
    assert 'id="products-1000"' not in text


@pytest.mark.usefixtures("unrendered")
def test_probes_of_different_operators(tmp_path: Path) -> None:
    directory = make_run_directory(tmp_path / "run", n=2, probes=3, logged=10)
    path = min((directory / "probes").iterdir())
    probe = xr.load_dataset(path, engine="h5netcdf").isel(operator=[0, 1])
    probe.to_netcdf(path, engine="h5netcdf")
    text = write_report(directory).read_text(encoding="utf-8")
    assert text.count("<figure ") == len(FIGURES)


def test_infinite_bounds_are_named(tmp_path: Path) -> None:
    directory = make_run_directory(tmp_path / "run", n=2, probes=1, logged=10)
    for path in (directory / "probes").iterdir():
        probe = xr.load_dataset(path, engine="h5netcdf")
        for name in ("operator_radius_error", "operator_value_error"):
            probe[name] = xr.full_like(probe[name], math.inf)
        probe["operator_exceeds_one"] = xr.full_like(probe["operator_exceeds_one"], "undecided")
        probe.to_netcdf(path, engine="h5netcdf")
    text = write_report(directory).read_text(encoding="utf-8")
    assert text.count("<figure ") == len(FIGURES)
    assert text.count("± ∞") == 2 * len(OPERATORS)


def test_learning_rate_annealed_to_zero(tmp_path: Path) -> None:
    directory = make_run_directory(tmp_path / "run", n=2, probes=2, logged=10)
    path = max((directory / "probes").iterdir())
    probe = xr.load_dataset(path, engine="h5netcdf")
    probe["learning_rate"] = xr.zeros_like(probe["learning_rate"])
    probe.to_netcdf(path, engine="h5netcdf")
    text = write_report(directory).read_text(encoding="utf-8")
    assert text.count("<figure ") == len(FIGURES)


def test_bare_files_are_enough(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format_version": 1, "settings": {}}')
    (tmp_path / "summary.json").write_text('{"status": "failed", "message": "out of memory"}')
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "out of memory" in text
    assert "<figure " not in text


def test_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write_atomically(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_report_imports_no_jax() -> None:
    code = (
        "import sys, hessdiag.report; "
        "print([m for m in sys.modules if m.split('.')[0] in ('jax', 'jaxlib', 'flax') "
        "or m.startswith('hessdiag.') and not m.startswith(('hessdiag.report', "
        "'hessdiag.errors'))])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
