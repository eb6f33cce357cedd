"""What a page says of where its numbers come from."""

from hessdiag.report.tables.table import provenance_rows


def test_every_resumption_is_listed_with_its_revision():
    document = {
        "provenance": {"command": "hessdiag run", "created": "a", "versions": {"jax": "1"}},
        "resumed": [
            {"command": "hessdiag run --resume x", "created": moment, "git_revision": revision}
            for moment, revision in (("b", "1234"), ("c", None))
        ],
    }
    assert provenance_rows(document) == [
        ("created", "a"),
        ("versions.jax", "1"),
        ("resumed", "b, git_revision 1234"),
        ("resumed", "c, git_revision not set"),
    ]
    assert provenance_rows({}) == []
