import pandas as pd

from hessdiag.report.tables import flat, folded, measured_table


def test_a_number_and_its_interval_share_a_cell() -> None:
    frame = pd.DataFrame(
        {
            "configuration": ["optimiser=adam", "optimiser=sgd"],
            "growth": [7.96, 3.64],
            "growth_low": [6.47, 3.32],
            "growth_high": [9.8, 3.99],
            "largest": [1.5, None],
            "largest_error": [0.1, None],
            "published": [8.6, None],
            "published_deviation": [2.1, None],
            "gone": [None, None],
            "over": ["seeds", "seeds"],
            "count": [3, 3],
        }
    )
    table = measured_table("spread", frame, "Noise")
    assert list(table.columns) == ["configuration", "growth", "largest", "published"]
    assert list(table.rows[0]) == ["Adam", "7.96 [6.47, 9.80]", "1.50 ± 0.10", "8.60 ± 2.1"]
    assert list(table.rows[1]) == ["SGD", "3.64 [3.32, 3.99]", "–", "–"]
    assert "3 seeds" in table.caption


def test_every_table_is_there_folded(found, run) -> None:
    slugs = {table.slug for table in folded(found)}
    assert {
        f"table-{name}" for name in ("final", "spread", "cuts", "sources", "standings")
    } <= slugs
    assert {"runs", "settings", "provenance"} <= slugs
    for table in (*folded(found), *folded(run)):
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_spectra_of_a_run_are_listed_with_their_bounds(run) -> None:
    (paper,) = [table for table in folded(run) if table.slug == "probes-0"]
    assert len(paper.rows) == 30
    assert paper.rows[0][:3] == ["50", "0", "0"]
    assert "±" in paper.rows[0][3]
    (operators,) = [table for table in folded(run) if table.slug == "probes-1"]
    assert len(operators.rows) == 3 * 5 * 4


def test_resumptions_of_a_run_are_listed_with_their_revisions() -> None:
    document = {
        "command": "hessdiag run",
        "versions": {"jax": "1"},
        "resumed": [{"created": "b", "git_revision": "1234"}, {"created": "c"}],
    }
    assert flat(document) == {
        "command": "hessdiag run",
        "versions.jax": "1",
        "resumed.1.created": "b",
        "resumed.1.git_revision": "1234",
        "resumed.2.created": "c",
    }
