"""Prints docs/settings.md, made from where the settings are declared."""

from collections.abc import Iterable, Iterator
from typing import Any

from hessdiag.declared import Setting, settings_of
from hessdiag.problems import BUILT_IN, factory
from hessdiag.train.settings import DECLARED

HEAD = """# Settings

Made by `make docs` from where the settings are declared. Each can be set by its flag of
`hessdiag run`, by `--set KEY=VALUE`, or in a TOML file (`--config`), where what stands before the
dot is a table: flag over file over the problem's preset over the general one. Every value is
checked before a run or a study starts; what is not allowed is refused in one line.
"""
OWN = "the problem's"


def page() -> str:
    """The whole page."""
    groups: dict[str, list[Setting]] = {}
    for key, setting in DECLARED.items():
        groups.setdefault(key.partition(".")[0] if "." in key else "", []).append(setting)
    parts = [HEAD, *_table("What is run", groups.pop(""))]
    for name, settings in groups.items():
        parts += _table(f"[{name}]", settings)
    for env in BUILT_IN:
        parts += _table(f"[problem] of {env}", settings_of(factory(env), "problem.").values())
    return "\n".join(parts)


def _table(title: str, settings: Iterable[Setting]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| setting | flag | default | allowed | what it is |"
    yield "| --- | --- | --- | --- | --- |"
    for setting in settings:
        flags = setting.flag.replace("/", " ").split()
        cells = (
            f"`{setting.key}`",
            " ".join(f"`{flag}`" for flag in flags),
            OWN if setting.key.startswith("learning.") else _default(setting.default),
            setting.allowed,
            setting.help,
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _default(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else f"{value}"


if __name__ == "__main__":
    print(page(), end="")
