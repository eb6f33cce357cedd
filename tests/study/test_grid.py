"""Which runs a study consists of."""

import pytest

from hessdiag.errors import UsageError
from hessdiag.study.grid import STUDIES, Grid, planned


def test_cells_are_all_combinations_with_the_last_varying_fastest():
    grid = Grid({"env": "mrp"}, {"n": [1, 3], "learning.optimiser": ["adam", "sgd"]})
    cells = grid.cells()
    assert [cell.name for cell in cells] == [
        "n=1 optimiser=adam",
        "n=1 optimiser=sgd",
        "n=3 optimiser=adam",
        "n=3 optimiser=sgd",
    ]
    assert [cell.slug for cell in cells[:2]] == ["n1-optimiseradam", "n1-optimisersgd"]
    assert cells[3].settings.n == 3
    assert cells[3].settings.learning.optimiser == "sgd"
    assert cells[3].settings.env == "mrp"


def test_no_inner_update_has_no_other_estimator():
    grid = Grid({"env": "mrp"}, {"n": [0, 1], "estimator": ["n-step", "mix"]})
    assert [cell.name for cell in grid.cells()] == [
        "n=0 estimator=n-step",
        "n=1 estimator=n-step",
        "n=1 estimator=mix",
    ]


def test_seeds_share_their_configuration():
    cells = Grid({"env": "mrp"}, {"n": [1, 2], "seed": [0, 1, 2]}).cells()
    assert len({cell.configuration for cell in cells}) == 2


def test_lists_can_be_varied():
    cells = Grid({"env": "mrp"}, {"probe.operators": [[], ["update"]]}).cells()
    assert [cell.name for cell in cells] == ["operators=none", "operators=update"]


@pytest.mark.parametrize(
    ("common", "varied", "words"),
    [
        ({"n": 1}, {"n": [1, 2]}, "n is both fixed and varied"),
        ({}, {"n": []}, "n: no values"),
        ({}, {"n": [1, 1]}, "n: a value is given twice"),
        ({}, {"n": [-1]}, "--n\\): -1 is not allowed"),
        ({"n": 0, "estimator": "mix"}, {"seed": [0]}, "no cells"),
        ({}, {"seed": range(200), "n": range(100)}, "20,000 cells"),
        ({"env": "mrp"}, {"no.such": [1]}, "no.such"),
    ],
)
def test_studies_that_make_no_sense_are_refused(common, varied, words):
    with pytest.raises(UsageError, match=words):
        Grid(common, varied).cells()


SEEDS = {"mechanism-12x12": 2, "fig4": 5, "fig5": 5, "across": 4}
SEEDS |= dict.fromkeys(("outer-critic", "outer-critic-normalised", "outer-critic-snake"), 10)


def test_settings_of_some_cells_alone():
    special = {"where.estimator.mix.kappa": 0.25, "where.estimator.mix.train.stride": 3}
    cells = Grid({"env": "mrp", "n": 2, **special}, {"estimator": ["n-step", "mix"]}).cells()
    found = [(cell.settings.kappa, cell.settings.train.stride) for cell in cells]
    assert found == [(None, 1), (0.25, 3)]
    fixed = Grid({"env": "mrp", "n": 2, "estimator": "mix", **special}, {"seed": [0]})
    assert fixed.cells()[0].settings.kappa == 0.25
    assert fixed.changed({"kappa": 0.5}, {}).cells()[0].settings.kappa == 0.5
    rates = {
        (cell.settings.estimator, cell.settings.learning.meta_learning_rate)
        for cell in planned("outer-critic-snake", None, {}, {}).cells()
    }
    assert rates == {("n-step", 3e-3), ("bootstrapped", 6e-3)}


def test_settings_of_some_cells_are_no_tables(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text("n = 2\n[where.estimator.mix]\nkappa = 0.5\n[vary]\nseed = [1]\n")
    with pytest.raises(UsageError, match=r"where\.estimator: a table is not allowed"):
        planned(None, file, {}, {}).cells()


def test_settings_of_some_cells_name_no_code():
    """What a directory is trusted with is looked for where all cells have it."""
    grid = Grid({"env": "mrp", "where.n.1.learning.optimiser": "mine:make"}, {"n": [1, 2]})
    with pytest.raises(UsageError, match=r"learning\.optimiser: it names code"):
        grid.cells()


@pytest.mark.parametrize("name", STUDIES)
def test_named_studies_are_complete(name):
    cells = planned(name, None, {}, {}).cells()
    assert len({cell.slug for cell in cells}) == len(cells)
    seeds = {cell.settings.seed for cell in cells}
    assert len(seeds) == SEEDS.get(name, 3)


def test_what_the_outer_loss_alone_reads_is_not_repeated_for_fixed_hyper_parameters():
    varied = {"n": [0, 1], "problem.outer_critic": [False, True], "problem.entropy": [0.0, 0.1]}
    cells = Grid({"env": "chain"}, varied).cells()
    found = [tuple(cell.varied.values()) for cell in cells]
    assert found == [
        (0, False, 0.0), (0, False, 0.1),
        *((1, critic, entropy) for critic in (False, True) for entropy in (0.0, 0.1)),
    ]  # fmt: skip


def test_flags_change_a_named_study():
    cells = planned("fig4", None, {"train.iterations": 7, "seed": 3}, {"n": [2]}).cells()
    assert [cell.settings.n for cell in cells] == [2]
    assert cells[0].settings.seed == 3
    assert cells[0].settings.train.iterations == 7
    assert cells[0].settings.monte_carlo == 256


def test_a_file_changes_a_named_study_and_flags_change_the_file(tmp_path):
    """Fixing what was varied, varying what was fixed."""
    file = tmp_path / "grid.toml"
    file.write_text("n = 5\n[vary]\nmonte_carlo = [1, 2]\nseed = [7]\n")
    cells = planned("fig4", file, {}, {}).cells()
    assert [(cell.settings.n, cell.settings.monte_carlo) for cell in cells] == [(5, 1), (5, 2)]
    cells = planned("fig4", file, {"monte_carlo": 3}, {"n": [2, 4], "seed": [1, 2]}).cells()
    found = sorted(
        (cell.settings.n, cell.settings.seed, cell.settings.monte_carlo) for cell in cells
    )
    assert found == [(n, seed, 3) for n in (2, 4) for seed in (1, 2)]


def test_a_file_that_fixes_and_varies_one_setting_is_refused(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text("n = 5\n[vary]\nn = [1, 2]\n")
    with pytest.raises(UsageError, match="n is both fixed and varied"):
        planned("fig4", file, {}, {}).cells()


def test_names_of_directories_are_no_longer_than_file_systems_take():
    lists = [["paper"] * k + ["update"] * 40 for k in range(2)]
    cells = Grid({"env": "mrp"}, {"probe.operators": lists}).cells()
    assert all(len(cell.slug.encode()) < 250 for cell in cells)
    assert len({cell.slug for cell in cells}) == 2
