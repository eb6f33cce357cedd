"""Studies that ship with the tool, a TOML file each."""

STUDIES = ("mechanism", "table1", "fig3", "fig4", "fig5")
