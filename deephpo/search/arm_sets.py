"""Sets of arms for a diversified search: by name, by words such as gp-hle-ei, or from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from deephpo.errors import OptionError, unknown_name
from deephpo.search.options import Choice, Number, Option
from deephpo.search.parts import LIES, PARTS, PROCESSES, SURROGATES

if TYPE_CHECKING:  # numpy comes with them, and who only reads options needs none
    import numpy as np

    from deephpo.search.arm import Arm
    from deephpo.search.search import Forgetful
    from deephpo.search.tpe import TreeParzenSearch
    from deephpo.space.encoding import Encoding

SIX = "gp-hle-ei, gp-hle-pi, gp-hle-ucb, forest-hle-ei, forest-hle-pi, forest-hle-ucb"
SETS: Mapping[str, str] = {"six": SIX, "seven": f"{SIX}, tpe-hle-ei"}
"""DEEP-BO's sets in its order, by their names."""

TPE = "tpe"
"""What words call TPE, which is none of the surrogates that a single search takes."""
SHORT: Mapping[str, str] = {"rf": "forest", "et": "extra-trees"}
"""What words may say for a surrogate as well; rf is what DEEP-BO says."""
ACQUISITIONS: Mapping[str, tuple[str, float]] = {
    "ei": ("ei", 0.0),
    "pi": ("pi", 0.0),
    "ucb": ("lcb", 1.0),
    "lcb": ("lcb", 1.96),
}
"""The acquisition functions with their weights by what words call them; ucb is DEEP-BO's, with weight 1."""
RANK = "rank"
"""What an arm learns unless its word says something else."""
_FILES = (".yaml", ".yml")
_FORM = (
    "an arm is a surrogate, a target and an acquisition function, such as gp-hle-ei, or forest-ei for ranks"
)
_FIELDS: Mapping[str, Option] = {
    **{name: PARTS[name] for name in ("surrogate", "target", "acquisition", "schedule", "tau")},
    # What trials report so far is told to the search single only.
    "lie": Choice(
        "next-best", "what pending trials count as", tuple(lie for lie in LIES if lie != "premature")
    ),
    "weight": Number(1.96, "kappa or xi"),
}
"""What each field of an arm may be."""


class AnyArm(Protocol):
    """What makes a strategy that takes its turn among others."""

    def search(self, encoding: Encoding, seed: np.random.SeedSequence) -> Forgetful:
        """Return the strategy; it must not be asked before one trial has succeeded."""


@dataclass(frozen=True)
class ParzenArm:
    """TPE as an arm; it looks at the order of the values alone, so all targets are one to it."""

    def search(self, encoding: Encoding, seed: np.random.SeedSequence) -> TreeParzenSearch:
        """Return the strategy."""
        from deephpo.search.tpe import TreeParzenSearch

        return TreeParzenSearch(encoding, seed)


@dataclass(frozen=True)
class Arms:
    """The option that takes a set of arms."""

    default: str
    help: str

    def check(self, name: str, value: Any) -> None:
        """Raise OptionError for what is no set of arms."""
        if not isinstance(value, str):
            raise OptionError(f"{name} must be a text such as {self.default!r}, not {value!r}.")
        parse_arms(value)

    def read(self, text: str) -> str:
        """Return the text; of a file what is in it, so that a resumed run needs the file no more."""
        if not text.endswith(_FILES):
            return text
        import yaml

        return yaml.safe_dump(_from_file(text), default_flow_style=True, width=10**6).strip()


def parse_arms(text: str) -> dict[str, AnyArm]:
    """Return the arms of a set by their names, in their order.

    text: the name of a set, one of SETS; or words, with commas between them; or the path of a YAML file that
    holds a list, or such a list itself, ``[gp-ei, {surrogate: forest, weight: 2.0}]``.  What is no word is a
    mapping of the fields of :class:`deephpo.search.arm.Arm`.

    Raises OptionError for what is none of these, and for an arm that is there twice.
    """
    arms: dict[str, AnyArm] = {}
    for entry in _entries(text):
        name, arm = _from_mapping(entry) if isinstance(entry, Mapping) else _from_word(entry)
        if name in arms:
            raise OptionError(f"Each arm is there once, and {name} is there twice in {text!r}.")
        arms[name] = arm
    return arms


def _entries(text: str) -> list[Any]:
    if text.endswith(_FILES):
        return _from_file(text)
    if text.lstrip().startswith("["):
        return _from_yaml(text, "arms")
    return [word.strip() for word in SETS.get(text, text).split(",")]


def _from_file(path: str) -> list[Any]:
    try:
        content = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OptionError(f"The arms in {path} cannot be read: {why}.") from None
    return _from_yaml(content, path)


def _from_yaml(content: str, where: str) -> list[Any]:
    import yaml

    try:
        entries = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise OptionError(f"{where} is no YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(entries, list) or not entries:
        raise OptionError(
            f"{where} must hold a list of arms, each a word such as gp-hle-ei or a mapping such as "
            f"{{surrogate: forest, weight: 2.0}}, not {entries!r}."
        )
    return entries


def _from_word(word: Any) -> tuple[str, AnyArm]:
    if not isinstance(word, str):
        raise OptionError(f"An arm is a word such as gp-hle-ei or a mapping, not {word!r}.")
    surrogate, rest = _split(word.lower())
    if len(rest) not in (1, 2):
        sets = "" if "-" in word else f"; known sets: {', '.join(SETS)}"
        raise OptionError(f"{word!r} is no arm: {_FORM}{sets}.")
    known = (TPE, *SURROGATES)
    if surrogate not in known:
        raise OptionError(f"{word!r} is no arm. {unknown_name('surrogate', surrogate, known)}")
    acquisition = rest[-1]
    takes = ["ei"] if surrogate == TPE else list(ACQUISITIONS)
    if acquisition not in takes:
        raise OptionError(f"{word!r} is no arm. {unknown_name('acquisition', acquisition, takes)}")
    target = rest[0] if len(rest) == 2 else RANK
    name = "-".join([surrogate, *rest])
    if surrogate == TPE:
        _FIELDS["target"].check("target", target)
        return name, ParzenArm()
    scored, weight = ACQUISITIONS[acquisition]
    return name, _arm({"surrogate": surrogate, "target": target, "acquisition": scored, "weight": weight})


def _split(word: str) -> tuple[str, list[str]]:
    """Return the surrogate of a word, a short form written out, and the parts behind it."""
    long = next((name for name in SURROGATES if word.startswith(f"{name}-")), None)
    first = long or word.split("-")[0]
    return SHORT.get(first, first), word[len(first) :].split("-")[1:]


def _from_mapping(entry: Mapping[Any, Any]) -> tuple[str, AnyArm]:
    arm = _arm(entry)
    kept = (arm.surrogate, arm.target, arm.acquisition)
    plain = _arm(dict(zip(("surrogate", "target", "acquisition"), kept, strict=True)))
    changed = [
        f"{field.name}={getattr(arm, field.name)}"
        for field in fields(arm)
        if getattr(arm, field.name) != getattr(plain, field.name)
    ]
    return "-".join(kept) + (f"({', '.join(changed)})" if changed else ""), arm


def _arm(given: Mapping[Any, Any]) -> Arm:
    """Return the arm with these fields; what they leave out suits the surrogate and the acquisition."""
    from deephpo.search.arm import Arm

    for name, value in given.items():
        if name not in _FIELDS:
            raise OptionError(f"{unknown_name('field of an arm', name, _FIELDS)} It is in {dict(given)!r}.")
        _FIELDS[name].check(name, value)
    if "surrogate" not in given:
        raise OptionError(f"An arm needs a surrogate, one of {', '.join(SURROGATES)}, not {dict(given)!r}.")
    chosen = {field.name: field.default for field in fields(Arm) if field.default is not MISSING}
    # Trees keep pending points apart by what they believe of them, a process by fresh candidates.
    chosen["lie"] = "next-best" if given["surrogate"] in PROCESSES else "believer"
    chosen["weight"] = ACQUISITIONS[given.get("acquisition", chosen["acquisition"])][1]
    return Arm(**{**chosen, **given})
