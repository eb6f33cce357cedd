"""`hessdiag`: the group of commands, and the one place where errors become exit codes."""

import importlib
import sys

import click

from hessdiag.errors import CompilerError, NotFiniteError, UsageError

COMMANDS = ("run", "study", "report", "show", "envs")


class LazyGroup(click.Group):
    """A group whose commands live in a module each, imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the help page."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"hessdiag.cli.{cmd_name}"), cmd_name)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hessdiag")
def hessdiag() -> None:
    """Hessian spectral diagnostics for meta-gradient reinforcement learning."""


def main() -> None:
    """Entry point: 0 done, 1 numbers went wrong, 2 bad input, 128 + signal when stopped."""
    try:
        sys.exit(hessdiag.main(prog_name="hessdiag", standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _complain(error.format_message())
        sys.exit(2)
    except UsageError as error:
        _complain(str(error))
        sys.exit(2)
    except (CompilerError, NotFiniteError, OSError) as error:
        _complain(str(error))
        sys.exit(1)


def _complain(message: str) -> None:
    click.echo(f"hessdiag: {' '.join(message.split())}", err=True)
