"""From a search's options to what judges its trials."""

from __future__ import annotations

from dataclasses import replace

from deephpo.cli.options import SearchOptions
from deephpo.errors import OptionError
from deephpo.problem import Declaration
from deephpo.stopping.create import AUTO, NO_RULE, create_rule, default_rule, further_metrics_of
from deephpo.stopping.curve import Subject
from deephpo.stopping.judge import Judge


def with_rule(options: SearchOptions, declaration: Declaration) -> SearchOptions:
    """Return the options with the stopping rule that "auto" stands for."""
    return options if options.stop != AUTO else replace(options, stop=rule_by_default(declaration))


def rule_by_default(declaration: Declaration) -> str:
    """Return which rule "auto" stands for: none in trainings of which nobody says when they are complete."""
    return NO_RULE if declaration.fidelity is None else default_rule(_subject_of(declaration))


def judge_of(declaration: Declaration, options: SearchOptions) -> Judge:
    """Return the judge of a search's trials; raises OptionError for a rule that there cannot be."""
    fidelity = declaration.fidelity
    subject = _subject_of(declaration)
    rule = None if options.stop == NO_RULE else create_rule(options.stop, subject)
    also = [] if rule is None else [metric.metric for metric in further_metrics_of(options.stop)]
    if options.promote and not declaration.resumable:
        raise OptionError(
            "--promote lets stopped trials go on from their own checkpoints, which this problem does not "
            "have: let run() save and load them in ctx.directory, and say Problem(..., resumable=True)."
        )
    if options.stopped_value == "extrapolated" and fidelity is None:
        raise OptionError(
            "--stopped-value extrapolated must know the step with which a training is complete, and the "
            'problem does not say it; declare it: Problem(..., fidelity=Fidelity("epoch", 50)).'
        )
    return Judge(rule, subject, options.stopped_value, options.promote, also)


def _subject_of(declaration: Declaration) -> Subject:
    """Return what the trials of a problem are judged by."""
    subject, fidelity = Subject(declaration.objective, declaration.direction), declaration.fidelity
    return subject if fidelity is None else replace(subject, last_step=fidelity.high, unit=fidelity.name)
