"""`hessdiag`: the group of commands, and the one place where errors become exit codes."""

import errno
import sys
from typing import NoReturn

import click

from hessdiag.errors import (
    CompilerError,
    NotFiniteError,
    ShortageError,
    UsageError,
    printable,
    ran_out_of_memory,
)

from .compare import compare
from .demo import demo
from .leaving import leaving_at_once
from .reading import envs, report, show
from .run import run
from .study import study
from .watch import watch

COMMANDS = (demo, run, study, report, show, watch, compare, envs)
_LONGEST = 1000  # characters of a message
HELP = {"help_option_names": ["-h", "--help"]}


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings=HELP,
    commands={command.name: command for command in COMMANDS},
)
@click.version_option(package_name="hessdiag")
def hessdiag() -> None:
    """Hessian spectral diagnostics for meta-gradient reinforcement learning."""


def main() -> None:
    """Entry point: 0 done, 1 numbers went wrong, 2 bad input, 128 + signal when stopped."""
    try:
        _require_text(sys.argv)
        with leaving_at_once():
            code = hessdiag.main(prog_name="hessdiag", standalone_mode=False)
        sys.exit(code or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _complain(error.format_message(), 2)
    except UsageError as error:
        _complain(str(error), 2)
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        says = "memory ran out; what is finished is saved"
        _complain(str(error) if isinstance(error, ShortageError) else says, 1)
    except (CompilerError, NotFiniteError, OSError) as error:
        too_long = getattr(error, "errno", None) == errno.ENAMETOOLONG
        _complain(str(error), 2 if too_long else 1)


def _require_text(arguments: list[str]) -> None:
    for number, argument in enumerate(arguments):
        if not argument.isascii() and printable(argument) != argument:
            raise UsageError(
                f"argument {number}: {argument!r} is not allowed; allowed: UTF-8 without control "
                "characters"
            )


def _complain(message: str, code: int) -> NoReturn:
    text = printable(" ".join(message.split()))
    click.echo(f"hessdiag: {text[:_LONGEST]}{'…' if len(text) > _LONGEST else ''}", err=True)
    sys.exit(code)
