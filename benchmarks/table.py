"""benchmarks/README.md: the committed table, made from the results."""

import json

from benchmarks.timing import RESULTS, markdown


def main() -> None:
    lines = [
        "# Benchmarks",
        "",
        "Ratios within one run; the machine was shared. `make bench` makes all of it again.",
        "",
    ]
    for file in sorted(RESULTS.glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        where = ", ".join(f"{key} {value}" for key, value in record["environment"].items())
        lines += [f"## `{record['command']}`", "", f"On {where}.", ""]
        lines += ["| what | value | goal |", "| --- | ---: | --- |"]
        for row in record["rows"]:
            value = f"{row['value']:.3g} {row.get('unit', '')}".strip()
            lines.append(f"| {row['what']} | {value} | {row.get('goal', '')} |")
        lines.append("")
        for table in record.get("tables", ()):
            lines += [*markdown(table), ""]
    (RESULTS.parent / "README.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
