"""Links from pages to files beside them in the repository.

Reports are pages: they are copied, with their figures, to where the links lead. Of other files the
site has a copy to download.
"""

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

_PAGE = "report.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to what happens to pages."""
    app.connect("doctree-read", _read, priority=400)  # before downloads are collected
    app.connect("doctree-resolved", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _read(app: Sphinx, doctree: nodes.document) -> None:
    root = Path(app.srcdir).parent
    here = Path(app.env.doc2path(app.env.docname)).parent
    up = "../" * app.env.docname.count("/")
    for node in list(doctree.findall(addnodes.pending_xref)):
        file = _outside(app, node)
        if file is not None:
            target = file.relative_to(here, walk_up=True).as_posix()
            download = addnodes.download_reference("", "", *node.children, reftarget=target)
            node.replace_self(download)
    for node in list(doctree.findall(addnodes.download_reference)):
        if Path(node["reftarget"]).name == _PAGE:
            page = (here / node["reftarget"]).resolve().relative_to(root).as_posix()
            link = nodes.reference("", "", *node.children, refuri=f"{up}{page}", report=page)
            node.replace_self(link)


def _outside(app: Sphinx, node: addnodes.pending_xref) -> Path | None:
    """The Markdown file of a link that is no page of the site."""
    name = node.get("reftarget", "")
    if node.get("refdomain") != "doc" or name in app.env.found_docs:
        return None
    file = Path(app.srcdir, f"{name}.md").resolve()
    return file if file.is_file() else None


def _copy(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    del docname
    for node in doctree.findall(nodes.reference):
        if page := node.get("report"):
            source, target = Path(app.srcdir).parent / page, Path(app.outdir, page)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            for figures in source.parent.glob("figures"):
                shutil.copytree(figures, target.with_name("figures"), dirs_exist_ok=True)
