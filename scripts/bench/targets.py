# SPDX-License-Identifier: GPL-2.0
"""Compare what was measured with the targets in targets.toml."""

import itertools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("targets.toml")
RELATIONS = {
    "at_most": ("<= ", lambda value, bound: value <= bound),
    "at_least": (">= ", lambda value, bound: value >= bound),
    "exactly": ("", lambda value, bound: value == bound),
}


@dataclass
class Measured:
    """A figure, its bound, and how the report shows the two."""

    value: float
    text: str
    bound: float
    bound_text: str


def expand(pattern):
    """a/{b,c} -> a/b a/c"""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def expand_all(patterns):
    return [name for pattern in patterns for name in expand(pattern)]


class Target:
    """One entry of targets.toml."""

    def __init__(self, entry):
        entry = dict(entry)
        self.name = entry.pop("name")
        self.source = entry.pop("source")
        self.cases = expand_all(entry.pop("cases"))
        self.references = expand_all(entry.pop("reference", [])) or self.cases
        self.digits = entry.pop("digits", 2)
        self.note = entry.pop("note", "")
        self.base = entry.pop("base", None)
        relations = [r for r in RELATIONS if r in entry]
        if len(relations) != 1:
            raise ValueError(f"{self.name}: one of {', '.join(RELATIONS)} is needed")
        self.relation = relations[0]
        self.bounds = entry.pop(self.relation)
        if entry:
            raise ValueError(f"{self.name}: unknown: {', '.join(entry)}")
        if self.source not in MEASURE:
            raise ValueError(f"{self.name}: no such source: {self.source}")
        if len(self.references) != len(self.cases):
            raise ValueError(f"{self.name}: {len(self.cases)} cases, {len(self.references)} references")

    def worst(self, values):
        """The one that is farthest in the wrong direction; None if one is missing."""
        values = list(values)
        if None in values:
            return None
        return min(values) if self.relation == "at_least" else max(values)

    def rows(self, figures):
        """One Markdown table row for each kernel to compare with."""
        name = self.name
        for kernel, bound in self.bounds.items():
            measured = MEASURE[self.source](self, figures, kernel, bound)
            yield self._row(name, kernel, bound, measured)
            name = ""

    def _row(self, name, kernel, bound, measured):
        sign, holds = RELATIONS[self.relation]
        if measured is None:
            text, result = "", "not measured"
            bound_text = self._bound_text(bound)
        else:
            text, bound_text = measured.text, measured.bound_text
            result = "met" if holds(measured.value, measured.bound) else "**not met**"
            if result == "met" and self.note:
                result += f" ({self.note})"
        return f"| {name} | {kernel} | {sign + bound_text if bound_text else ''} | {text} | {result} |"

    def _bound_text(self, bound):
        """Of a target that is not measured: "" if the bound itself is measured."""
        if bound == "measured" or self.source == "size":
            return ""
        return str(bound) if self.source in ("growth", "test") else f"{bound:.2f}"

    def ratio(self, values, bound, remark=""):
        value = self.worst(values)
        if value is None or bound is None:
            return None
        return Measured(value, f"{value:.{self.digits}f}{remark}", bound, f"{bound:.2f}")


def in_guest(target, figures, kernel, bound):
    pairs = zip(target.cases, target.references)
    ratios = (figures.guest.ratio(c, kernel, reference) for c, reference in pairs)
    return target.ratio(ratios, bound)


def counted(target, figures, _kernel, bound):
    natives = (figures.count.get(case) for case in target.cases)
    return target.ratio((native and native.ratio for native in natives), bound)


def timed(target, figures, _kernel, bound):
    """Calls a second are one divided by the time of a call."""
    natives = [figures.time.get(case) for case in target.cases]
    speeds = [1 / native.ratio if native and native.ratio else None for native in natives]
    spreads = ", ".join(native.spread for native in natives if native)
    return target.ratio(speeds, bound, f" (spread of ours: {spreads})")


def held(target, figures, _kernel, _bound):
    holds = [figures.hold.get(case) for case in target.cases]
    bounds = [hold.limit for hold in holds if hold and hold.limit is not None]
    return target.ratio((hold and hold.ratio for hold in holds), min(bounds, default=None))


def sizes(target, figures, kernel):
    """The size of the patched kernel and of the other one, or two times None."""
    (case,) = target.cases
    both = [figures.static.mean(k, case) for k in ("patched", kernel)]
    return (None, None) if None in both else both


def size(target, figures, kernel, bound):
    ours, theirs = sizes(target, figures, kernel)
    if ours is None:
        return None
    return Measured(ours, f"{ours:.0f}", theirs + bound, f"{theirs + bound:.0f}")


def growth(target, figures, kernel, bound):
    ours, theirs = sizes(target, figures, kernel)
    if ours is None:
        return None
    return Measured(ours - theirs, f"{ours - theirs:.0f}", bound, str(bound))


def passed(target, figures, _kernel, bound):
    value = target.worst(figures.static.mean("patched", case) for case in target.cases)
    return None if value is None else Measured(value, f"{value:.0f}" if value else "", bound, str(bound))


MEASURE = {
    "guest": in_guest,
    "count": counted,
    "time": timed,
    "hold": held,
    "size": size,
    "growth": growth,
    "test": passed,
}


def load(base, path=FILE):
    """Those of a base: "7.3"."""
    with open(path, "rb") as file:
        everything = [Target(entry) for entry in tomllib.load(file)["target"]]
    return [target for target in everything if target.base in (None, base)]
