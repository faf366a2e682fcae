"""From a search's options to what judges its trials."""

from __future__ import annotations

from dataclasses import replace

from deephpo.cli.options import SearchOptions
from deephpo.errors import OptionError
from deephpo.problem import Declaration
from deephpo.stopping.create import AUTO, DEFAULT_RULE, NO_RULE, create_rule
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge


def with_rule(options: SearchOptions, declaration: Declaration) -> SearchOptions:
    """Return the options with the stopping rule that "auto" stands for."""
    if options.stop != AUTO:
        return options
    return replace(options, stop=DEFAULT_RULE if declaration.fidelity is not None else NO_RULE)


def judge_of(declaration: Declaration, options: SearchOptions) -> Judge:
    """Return the judge of a search's trials; raises OptionError for a rule that there cannot be."""
    fidelity = declaration.fidelity
    subject = Subject(declaration.objective, declaration.direction)
    if fidelity is not None:
        subject = replace(subject, last_step=fidelity.high, unit=fidelity.name)
    rule = None if options.stop == NO_RULE else create_rule(options.stop, subject)
    if options.promote and not declaration.resumable:
        raise OptionError(
            "--promote lets stopped trials go on from their own checkpoints, which this problem does not "
            "have: let run() save and load them in ctx.directory, and say Problem(..., resumable=True)."
        )
    return Judge(rule, subject, options.stopped_value, options.promote)
