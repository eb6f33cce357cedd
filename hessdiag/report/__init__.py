"""Reports: figures, tables and one HTML page, made from a run directory alone."""

from hessdiag.report.run_data import RunData, load
from hessdiag.report.tables.table import Table
from hessdiag.report.write import write_report

__all__ = ["RunData", "Table", "load", "write_report"]
