"""Which cells train together."""

from hessdiag.study.grid import Grid, groups


def test_seeds_of_a_configuration_train_together_up_to_so_many():
    cells = Grid({"env": "mrp"}, {"seed": [0, 1, 2], "n": [1, 2]}).cells()
    names = [[cell.name for cell in group] for group in groups(cells, 2)]
    assert names == [
        ["seed=0 n=1", "seed=1 n=1"],
        ["seed=2 n=1"],
        ["seed=0 n=2", "seed=1 n=2"],
        ["seed=2 n=2"],
    ]


def test_varied_lists_tell_configurations_apart():
    varied = {"probe.operators": [[], ["update"]], "seed": [0, 1]}
    assert [len(group) for group in groups(Grid({"env": "mrp"}, varied).cells())] == [2, 2]
