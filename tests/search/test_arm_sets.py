import subprocess
import sys

import pytest

from deephpo.errors import OptionError
from deephpo.search.arm import Arm
from deephpo.search.arm_sets import SETS, Arms, ParzenArm, parse_arms
from deephpo.search.create import create_search
from deephpo.space.parameters import Float
from deephpo.space.space import Space

SPACE = Space([Float("x", 0, 1)])
GP_EI = Arm("gp", "rank", "ei", weight=0.0, lie="next-best")
FOREST = Arm("forest", "rank", "lcb", weight=2.0, lie="believer")


def test_the_six_arms_are_the_original_s_in_its_order():
    assert list(parse_arms("six")) == [
        *("gp-hle-ei", "gp-hle-pi", "gp-hle-ucb"),
        *("forest-hle-ei", "forest-hle-pi", "forest-hle-ucb"),
    ]
    assert list(parse_arms("seven")) == [*parse_arms("six"), "tpe-hle-ei"]


@pytest.mark.parametrize(
    ("word", "arm"),
    [
        ("gp-hle-ei", Arm("gp", "hle", "ei", weight=0.0, lie="next-best")),
        ("Forest-HLE-UCB", Arm("forest", "hle", "lcb", weight=1.0, lie="believer")),
        ("extra-trees-le-pi", Arm("extra-trees", "le", "pi", weight=0.0, lie="believer")),
        ("extra-trees-ei", Arm("extra-trees", "rank", "ei", weight=0.0, lie="believer")),
        ("gp-ei", GP_EI),
        ("blend-ei", Arm("blend", "rank", "ei", weight=0.0, lie="next-best")),
        ("forest-raw-lcb", Arm("forest", "raw", "lcb", weight=1.96, lie="believer")),
        ("tpe-hle-ei", ParzenArm()),
        ("tpe-ei", ParzenArm()),
    ],
)
def test_a_word_is_an_arm(word, arm):
    assert parse_arms(word) == {word.lower(): arm}


@pytest.mark.parametrize(("short", "long"), [("rf-hle-ei", "forest-hle-ei"), ("ET-pi", "extra-trees-pi")])
def test_a_short_word_is_the_same_arm_by_the_same_name(short, long):
    assert parse_arms(short) == parse_arms(long)
    with pytest.raises(OptionError, match=f"^Each arm is there once, and {long} is there twice in "):
        parse_arms(f"{long},{short}")


def test_words_stand_with_commas_between_them():
    assert list(parse_arms("forest-ei, gp-log-pi,tpe-ei")) == ["forest-ei", "gp-log-pi", "tpe-ei"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "arms.yaml"
    path.write_text("# mine\n- gp-ei\n- surrogate: forest\n  weight: 2.0\n")
    return path


def test_a_file_lists_words_and_mappings(path):
    assert parse_arms(str(path)) == {"gp-ei": GP_EI, "forest-rank-lcb(weight=2.0)": FOREST}


def test_the_command_line_reads_a_file_once_and_for_all(path):
    text = Arms("six", "").read(str(path))
    path.unlink()
    assert text == "[gp-ei, {surrogate: forest, weight: 2.0}]"
    assert list(parse_arms(text).values()) == [GP_EI, FOREST]
    assert Arms("six", "").read("seven") == "seven"


def test_arms_that_differ_have_different_names():
    arms = parse_arms("[{surrogate: gp}, {surrogate: gp, schedule: drawn}, {surrogate: gp, lie: min}]")
    assert list(arms) == ["gp-rank-lcb", "gp-rank-lcb(schedule=drawn)", "gp-rank-lcb(lie=min)"]


FORM = (
    "an arm is a surrogate, a target and an acquisition function, such as gp-hle-ei, or forest-ei for ranks"
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sixx", f"'sixx' is no arm: {FORM}; known sets: six, seven."),
        ("gp-hle-ei-1", f"'gp-hle-ei-1' is no arm: {FORM}."),
        ("", f"'' is no arm: {FORM}; known sets: six, seven."),
        (
            "svm-ei",
            "'svm-ei' is no arm. There is no surrogate 'svm'. Known: tpe, gp, blend, forest, extra-trees.",
        ),
        (
            "extra-trees",
            "'extra-trees' is no arm. There is no surrogate 'extra'; did you mean 'extra-trees'?",
        ),
        ("extra-trees-hle-ei-1", f"'extra-trees-hle-ei-1' is no arm: {FORM}."),
        ("gp-hle-eu", "'gp-hle-eu' is no arm. There is no acquisition 'eu'. Known: ei, pi, ucb, lcb."),
        ("tpe-hle-pi", "'tpe-hle-pi' is no arm. There is no acquisition 'pi'. Known: ei."),
        ("gp-hlle-ei", "There is no target 'hlle'; did you mean 'hle'? Known: rank, raw, log, le, hle."),
        ("tpe-hlle-ei", "There is no target 'hlle'; did you mean 'hle'?"),
        ("gp-ei,tpe-ei,gp-ei", "Each arm is there once, and gp-ei is there twice in 'gp-ei,tpe-ei,gp-ei'."),
        ("nowhere.yaml", "The arms in nowhere.yaml cannot be read: No such file or directory."),
        ("[", "arms is no YAML: "),
        ("[]", "arms must hold a list of arms, each a word such as gp-hle-ei or a mapping such as "),
        ("[3]", "An arm is a word such as gp-hle-ei or a mapping, not 3."),
        ("[{surogate: gp}]", "There is no field of an arm 'surogate'; did you mean 'surrogate'?"),
        (
            "[{target: hle}]",
            "An arm needs a surrogate, one of gp, blend, forest, extra-trees, not ",
        ),
        ("[{surrogate: rf}]", "There is no surrogate 'rf'. Known: gp, blend, forest, extra-trees."),
        ("[{surrogate: gp, weight: much}]", "weight must be a number from 0 on, such as 1.96, not 'much'."),
        ("[{surrogate: gp, tau: 2}]", "tau must be a number from 0 to 1, such as 0.3, not 2."),
        ("[{surrogate: gp, lie: white}]", "There is no lie 'white'."),
        (7, "arms must be a text such as 'six', not 7."),
    ],
)
def test_what_is_no_set_is_refused_before_the_first_trial(text, sentence):
    with pytest.raises(OptionError) as error:
        create_search("diversified", SPACE, arms=text)
    assert str(error.value).startswith(sentence)


def test_a_file_that_holds_no_list_is_refused_by_its_name(tmp_path):
    path = tmp_path / "arms.yml"
    path.write_text("arms: gp-ei")
    with pytest.raises(OptionError, match=r"must hold a list of arms, .* not {'arms': 'gp-ei'}") as error:
        parse_arms(str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", SETS)
def test_every_named_set_searches(name):
    search = create_search("diversified", SPACE, arms=name, initial=3)
    for _ in range(12):
        (trial,) = search.ask()
        search.tell(trial, abs(trial.config["x"] - 0.3))
    assert len(search.ask(8)) == 8


def test_who_only_reads_options_needs_neither_numpy_nor_yaml():
    code = "import sys, deephpo.search.create; assert not {'numpy', 'yaml'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
