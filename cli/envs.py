"""`hessdiag envs`: the problems and their settings."""

import click


@click.command()
def envs() -> None:
    """List the built-in problems with their settings and defaults."""
    import dataclasses

    from hessdiag import problems

    for name in problems.BUILT_IN:
        made = problems.make(name, {})
        click.echo(f"{name}: {made.about.summary}")
        for key, default in problems.settings_of(name).items():
            click.echo(f"    problem.{key} = {default!r}")
        for key, default in dataclasses.asdict(made.learning).items():
            click.echo(f"    learning.{key} = {default!r}")
        named = getattr(made, "meta_parameters", ())
        starts = ", ".join(f"{parameter.name} = {parameter.start:g}" for parameter in named)
        click.echo(f"    meta-parameters: {starts}")
    click.echo("your own: hessdiag run --env module:factory")
