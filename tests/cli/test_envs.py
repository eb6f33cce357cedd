from hessdiag import problems


def test_problems_are_listed_with_their_settings(cli):
    done = cli("envs")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    heads = [line.split(":")[0] for line in lines if not line.startswith(" ")]
    assert heads == [*problems.BUILT_IN, *problems.LIBRARIES, "your own"]
    of_snake = lines[: next(k for k, line in enumerate(lines) if line.startswith("mrp"))]
    assert {"    problem.rows = 12", "    problem.batch_size = 32"} <= set(of_snake)
    of_mrp = lines[len(of_snake) :]
    assert {"    problem.states = 10", "    learning.optimiser = 'adam'"} <= set(of_mrp)
    assert any("meta-parameters: gamma = 0.99, lambda = 0.99" in line for line in of_snake)
    named = [line for line in lines if line.startswith("    meta-parameters: ")]
    counts = dict(zip(problems.BUILT_IN, (line.count(" = ") for line in named), strict=True))
    assert counts == {
        "snake": 4,
        "mrp": 10,
        "bandit": 1,
        "tabular-maml": 0,
        "lirpg": 0,
        "ipd": 10,
        "chain": 1,
        "snake-outer": 1,
    }
    tables = named[list(counts).index("lirpg")]
    assert tables.split() == ["meta-parameters:", "100,", "in", "tables"]
