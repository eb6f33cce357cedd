def test_problems_are_listed_with_their_settings(cli):
    done = cli("envs")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    heads = [line.split(":")[0] for line in lines if not line.startswith(" ")]
    assert heads == ["snake", "mrp", "chain", "snake-outer", "your own"]
    of_snake = lines[: next(k for k, line in enumerate(lines) if line.startswith("mrp"))]
    assert {"    problem.rows = 12", "    problem.batch_size = 32"} <= set(of_snake)
    of_mrp = lines[len(of_snake) :]
    assert {"    problem.states = 10", "    learning.optimiser = 'adam'"} <= set(of_mrp)
    assert any("meta-parameters: gamma = 0.99, lambda = 0.99" in line for line in of_snake)
