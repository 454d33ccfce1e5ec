# SPDX-License-Identifier: GPL-2.0
"""What make bench measured, read from the files that it left.

Of build/$BASE:
bench/{counted,timed}/KERNEL.RUN, bench/static.txt   "KERNEL RUN case value" lines
native/count, native/bench                 "case ours base ratio [spread]" tables
native/hold-worst                          "case, ratio, highest ratio allowed or 0"

A figure that is missing is None. It is never taken for 0.
"""

from dataclasses import dataclass
from pathlib import Path

KERNELS = ("patched", "stock")


def divide(a, b):
    """a / b, or None if one of them is missing or b is 0."""
    return a / b if a is not None and b else None


class Samples:
    """Values of cases, of each kernel, one for each of its runs."""

    def __init__(self, lines, runs):
        self.runs = runs
        self._values = {}
        for line in lines:
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 4:
                raise ValueError(f"not 'KERNEL RUN case value': {line.rstrip()}")
            kernel, run, case, value = fields
            of_case = self._values.setdefault((kernel, case), {})
            if run in of_case:
                raise ValueError(f"run {run} of the {kernel} kernel reports {case} twice")
            of_case[run] = float(value)

    def values(self, kernel, case):
        """One value for each run; none at all if a run did not report the case."""
        values = list(self._values.get((kernel, case), {}).values())
        return values if len(values) >= self.runs else []

    def mean(self, kernel, case):
        values = self.values(kernel, case)
        return sum(values) / len(values) if values else None

    def ratio(self, case, kernel, reference=None):
        """Of the patched kernel's case to the same case, or to reference, of kernel."""
        return divide(self.mean("patched", case), self.mean(kernel, reference or case))

    def spread(self, case):
        """(largest - smallest) / mean over the runs, of the kernel where it is largest."""
        spreads = [0.0]
        for kernel in KERNELS:
            values = self.values(kernel, case)
            if values and sum(values):
                spreads.append((max(values) - min(values)) * len(values) / sum(values))
        return max(spreads)

    def levels(self, kernel, prefix):
        """(level, mean) for each case prefix/LEVEL, in the levels' order."""
        levels = [
            int(case.removeprefix(prefix + "/"))
            for of, case in self._values
            if of == kernel and case.startswith(prefix + "/") and self.values(of, case)
        ]
        return [(level, self.mean(kernel, f"{prefix}/{level}")) for level in sorted(levels)]


@dataclass
class Native:
    """A line of a table of tools/testing/pid."""

    ours: float
    base: float
    spread: str  # as it is in the file, "" if it is not

    @property
    def ratio(self):
        return divide(self.ours, self.base)


@dataclass
class Hold:
    """How the longest hold of the lock compares, and the limit that belongs to it."""

    ratio: float
    limit: float | None


def read_native(lines):
    """A table of tools/testing/pid; what is not a case, such as its head, is left out."""
    table = {}
    for line in lines:
        fields = line.split()
        if len(fields) >= 4 and "/" in fields[0]:
            table[fields[0]] = Native(float(fields[1]), float(fields[2]), "".join(fields[4:5]))
    return table


def read_hold(lines):
    table = {}
    for line in lines:
        name, ratio, limit = line.rstrip("\n").split("\t")
        table[name] = Hold(float(ratio), float(limit) or None)
    return table


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def read_boots(folder):
    """The samples of all boots; there are as many runs as boots of the patched kernel."""
    files = [f for f in sorted(folder.glob("*")) if f.suffix != ".tmp"]
    runs = sum(f.name.startswith("patched.") for f in files)
    return Samples([line for f in files for line in lines_of(f)], runs)


@dataclass
class Figures:
    """All that make bench measured."""

    guest: Samples  # counted
    clock: Samples  # timed, in the guest
    static: Samples
    count: dict
    time: dict
    hold: dict

    @classmethod
    def read(cls, build):
        bench, native = Path(build) / "bench", Path(build) / "native"
        return cls(
            guest=read_boots(bench / "counted"),
            clock=read_boots(bench / "timed"),
            static=Samples(lines_of(bench / "static.txt"), 1),
            count=read_native(lines_of(native / "count")),
            time=read_native(lines_of(native / "bench")),
            hold=read_hold(lines_of(native / "hold-worst")),
        )
