from pathlib import Path

REPORTS = Path(__file__).parents[2] / "reports"
STUDIES = [REPORTS / "mechanism", REPORTS / "mechanism-long"]


def test_it_prints_and_makes_a_page(cli, tmp_path):
    status, printed, _ = cli("compare", *STUDIES, "--out", tmp_path / "page")
    assert status == 0
    assert str(tmp_path / "page" / "report.html") in printed
    assert (tmp_path / "page" / "report.html").is_file()


def test_what_cannot_be_compared_is_code_2(cli, tmp_path):
    for directories in (STUDIES[:1], [*STUDIES, tmp_path / "nothing"], [*STUDIES, STUDIES[0]]):
        status, _, complaint = cli("compare", *directories)
        assert (status, complaint.count("\n")) == (2, 1)
    assert cli("compare", *STUDIES, "--out", STUDIES[0])[0] == 2
