import math
import subprocess
import sys

import pytest

from deephpo.errors import OptionError
from deephpo.stopping.any_of import AnyOf
from deephpo.stopping.asha import SuccessiveHalving
from deephpo.stopping.create import DEFAULT_RULE, RULES, create_rule, default_rule, further_metrics_of
from deephpo.stopping.curve import Subject
from deephpo.stopping.threshold import Threshold

ACCURACY = Subject("accuracy", "maximize", 50)
NO_END = Subject("accuracy", "maximize")
KNOWN = ", ".join(RULES)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_of_the_table_can_be_made_by_its_name_alone_or_says_what_it_must_be_told(name):
    options = ",".join(f"{required}=1" for required in RULES[name].required)
    rule = create_rule(f"{name}:{options}" if options else name, ACCURACY)
    assert callable(rule.judge)
    assert callable(rule.close)


DO_WITHOUT_AN_END = {
    "asha": "asha:first=3",
    "diverged": "diverged",
    "plateau": "plateau",
    "threshold": "threshold:at=1,value=1",
    "interval": "interval",
}
"""The rules that need not know the step with which a training is complete, as texts."""


@pytest.mark.parametrize("name", RULES)
def test_what_must_know_the_last_step_refuses_a_problem_that_does_not_say_it(name):
    if name in DO_WITHOUT_AN_END:
        create_rule(DO_WITHOUT_AN_END[name], NO_END)
    if name not in DO_WITHOUT_AN_END or name == "asha":
        with pytest.raises(OptionError, match=r'Problem\(..., fidelity=Fidelity\("epoch", 50\)\)'):
            create_rule(name, NO_END)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ashaa", f"There is no stopping rule 'ashaa'; did you mean 'asha'? Known: {KNOWN}."),
        ("", f"There is no stopping rule ''. Known: {KNOWN}."),
        (
            "random",
            f"There is no stopping rule 'random'; random is a search: --search random. Known: {KNOWN}.",
        ),
        ("pace + TPE", "There is no stopping rule 'TPE'; tpe is a search: --search tpe."),
        ("asha+", "A + must be between two stopping rules, as in 'pace + diverged', not as in 'asha+'."),
        ("+ asha", "A + must be between two stopping rules, as in 'pace + diverged', not as in '+ asha'."),
        ("asha ++ pace", "A + must be between two stopping rules, as in"),
        ("asha:eta=2 +", "A + must be between two stopping rules, as in"),
        ("asha + asha", "The stopping rule 'asha' is there twice in 'asha + asha': name it once."),
        (
            "threshold:at=5,value=2 + threshold:value=2,at=5",
            "The stopping rule 'threshold' is there twice in ",
        ),
        ("asha eta=3", "There is no stopping rule 'asha eta=3'; did you mean 'asha:eta=3'?"),
        (
            "diverged + asha, eta=3,first=2 ",
            "There is no stopping rule 'asha, eta=3,first=2'; did you mean 'asha",
        ),
        (
            "asha also=latency max:size",
            "There is no stopping rule 'asha also=latency max:size'; did you mean",
        ),
        ("bogus eta=3", f"There is no stopping rule 'bogus eta=3'. Known: {KNOWN}."),
        (
            "asha:also=accuracy",
            "The stopping rule 'asha': also is for metrics beside the objective, and 'accuracy' is the "
            "objective: name others, or leave it out.",
        ),
        (
            "diverged + pace:also=latency max:accuracy",
            "The stopping rule 'pace': also is for metrics beside the",
        ),
        (
            "pace + asha:eta=1",
            "The stopping rule 'asha': eta must be a number from 1.1 to 1000, such as 2, not",
        ),
        ("median + xyz", f"There is no stopping rule 'xyz'. Known: {KNOWN}."),
        (
            "asha:etta=3",
            "The stopping rule 'asha' has no option 'etta'; it takes eta, first, also.",
        ),
        (
            "median:beta=0.1",
            "The stopping rule 'median' has no option 'beta'; it takes at. It is an option of compound.",
        ),
        (
            "asha:eta=1",
            "The stopping rule 'asha': eta must be a number from 1.1 to 1000, such as 2, not 1.0.",
        ),
        (
            "asha:eta=three",
            "The stopping rule 'asha': eta must be a number from 1.1 to 1000, such as 2, not 'three'.",
        ),
        (
            "asha:eta=1e308",
            "The stopping rule 'asha': eta must be a number from 1.1 to 1000, such as 2, not 1e+308.",
        ),
        (
            "asha:eta=inf",
            "The stopping rule 'asha': eta must be a number from 1.1 to 1000, such as 2, not inf.",
        ),
        ("asha:first=2.5", "The stopping rule 'asha': first must be a whole number from 0 on, not '2.5'."),
        ("asha:first=-1", "The stopping rule 'asha': first must be a whole number from 0 on, not -1."),
        ("asha:eta", "The options of a stopping rule are written asha:option=value, not 'eta'."),
        ("asha:", "The options of a stopping rule are written asha:option=value, not ''."),
        ("asha:eta=2,eta=3", "The stopping rule 'asha' has eta twice, as 2.0 and as 3."),
        (
            "asha:also=latency max:latency",
            "The stopping rule 'asha': also must be names of different metrics with spaces between them, "
            "such as 'latency max:throughput', not 'latency max:latency'.",
        ),
        ("asha:also=max:", "The stopping rule 'asha': also must be names of different metrics with spaces"),
        (
            "threshold:at=5",
            "The stopping rule 'threshold' must be told value, the value that they must have reached: "
            "threshold:at=...,value=....",
        ),
        (
            "threshold:at=5,value=nan",
            "The stopping rule 'threshold': value must be a number, such as 0.5, not nan.",
        ),
        (
            "compound:beta=0.6",
            "The stopping rule 'compound': beta must be a number from 0.01 to 0.5, such as 0.2, not 0.6.",
        ),
        (
            "diverged:by=0",
            "The stopping rule 'diverged': by must be a number from 0.01 to 0.5, such as 0.25, not 0.0.",
        ),
        (
            "pace:caution=0.05",
            "The stopping rule 'pace': caution must be 0 or a number from 0.1 to 2, not 0.05.",
        ),
        (
            "plateau:patience=0",
            "The stopping rule 'plateau': patience must be a whole number from 1 on, not 0.",
        ),
        ("interval:low=1", "The stopping rule 'interval': high must be above low, which is 1, not 0.2."),
        ("ASHA", f"There is no stopping rule 'ASHA'; did you mean 'asha'? Known: {KNOWN}, none."),
        ("asha + Median", "There is no stopping rule 'Median'; did you mean 'median'?"),
        ("None", f"There is no stopping rule 'None'; did you mean 'none'? Known: {KNOWN}, none."),
        ("off", "There is no stopping rule 'off'; did you mean 'none'?"),
        (
            "none + asha",
            "'none' stands alone and cannot be joined with a stopping rule, as in 'none + asha': leave out "
            "the one or the other.",
        ),
        ("asha + Off", "'Off' stands alone and cannot be joined with a stopping rule, as in 'asha + Off': "),
        ("asha+auto", "'auto' stands alone and cannot be joined with a stopping rule, as in 'asha+auto': "),
        (
            "diverged + asha:first=50",
            "The stopping rule 'asha' can stop no trial before step 50, and a training is complete with step "
            "50: say a smaller first, or leave the rule out.",
        ),
        (
            "threshold:at=100,value=0.5",
            "The stopping rule 'threshold' can stop no trial before step 100, and",
        ),
        ("median:at=1", "The stopping rule 'median' can stop no trial before step 50, and a training is"),
        (
            "plateau:patience=50",
            "The stopping rule 'plateau' can stop no trial before step 50, and a training",
        ),
        (
            "gradient:after=51",
            "The stopping rule 'gradient' can stop no trial before step 50, and a training",
        ),
        (
            "hyperband:first=20",
            "The stopping rule 'hyperband' can stop no trial, and a training is complete with step 50: say a "
            "smaller first or eta, or leave the rule out.",
        ),
    ],
)
def test_a_wrong_text_is_refused_with_the_cure(text, sentence):
    with pytest.raises(OptionError) as error:
        create_rule(text, ACCURACY)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("text", ["asha:first=50", "threshold:at=50,value=0.1", "plateau:patience=50"])
def test_a_step_is_late_only_where_the_last_one_is_known(text):
    create_rule(text, NO_END)
    create_rule(text.replace("50", "49"), ACCURACY)


@pytest.mark.parametrize("name", ["compound", "median", "knock"])
def test_a_training_of_one_step_has_nothing_before_its_end_to_be_judged_by(name):
    sentence = f"'{name}' can stop no trial before epoch 1, and a training is complete with epoch 1: leave it"
    with pytest.raises(OptionError, match=sentence):
        create_rule(name, Subject("loss", last_step=1, unit="epoch"))
    create_rule(name, Subject("loss", last_step=2, unit="epoch"))


@pytest.mark.parametrize(
    ("last", "rule"), [(1, "diverged"), (2, "diverged"), (3, "pace + diverged"), (50, "pace + diverged")]
)
def test_of_the_default_there_is_what_can_act_in_so_many_steps(last, rule):
    subject = Subject("loss", last_step=last)
    assert default_rule(subject) == rule
    create_rule(rule, subject)
    assert DEFAULT_RULE == "pace + diverged"


def test_the_metrics_that_a_rule_judges_by_are_those_of_all_its_parts():
    text = "asha:also=latency max:throughput + pace:also=latency,caution=1 + diverged"
    assert further_metrics_of(text) == (Subject("latency"), Subject("throughput", "maximize"))
    assert further_metrics_of("pace + diverged") == ()


def test_options_are_read_and_passed_on(train):
    rule = create_rule(" asha : eta = 3 , first = 6 ", ACCURACY)
    assert isinstance(rule, SuccessiveHalving)
    for value in (0.9, 0.5, 0.4):
        verdict = train(rule, ACCURACY, [value] * 50)
    assert verdict == (6, "its best, 0.4, is not among the best 1 of 3 trials (0.9)")


def test_several_rules_are_joined_with_a_plus(train):
    for text in ("asha+interval:high=0.05", "asha:first=6 + interval:high=0.05"):
        rule = create_rule(text, ACCURACY)
        assert isinstance(rule, AnyOf)
        assert train(rule, ACCURACY, [0.3, 0.04]) == (2, "0.04 is between 0 and 0.05")


def test_a_plus_in_a_number_joins_nothing(train):
    rule = create_rule("threshold:at=1,value=1e+3", Subject("loss"))
    assert isinstance(rule, Threshold)
    assert train(rule, Subject("loss"), [1001.0])[1].endswith("is worse than 1000")
    assert train(rule, Subject("loss"), [999.0]) is None


def test_several_metrics_are_named_with_spaces(train):
    rule = create_rule("asha:first=2,also=latency max:throughput + diverged", ACCURACY)
    train(rule, ACCURACY, [0.9] * 9, others={"latency": 1.0, "throughput": 9.0})
    assert train(rule, ACCURACY, [0.1] * 9, others={"latency": 2.0, "throughput": 10.0}) is None
    assert train(rule, ACCURACY, [0.1] * 9, others={"latency": 3.0, "throughput": 8.0})[0] == 2
    assert train(rule, ACCURACY, [math.nan])[1] == "accuracy is NaN"


def test_reading_the_table_needs_no_numpy():
    code = "import sys, deephpo.stopping.create; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
