#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""report.py BUILD: print the report about BUILD/bench and BUILD/native in Markdown.

BUILD is build/7.3: its name is the base that the targets are for.

First the targets and whether they are met, then every figure. BUILD/bench/about.md says
what was measured; its lines are shown as they are.
"""

import functools
import sys
from pathlib import Path

import targets
from figures import KERNELS, Figures, lines_of

LEVELS = (0, 1, 4, 16, 32)
CALLS = ("fork/plain", "thread/plain", "clone3/plain", "clone3/one", "clone3/all", "wait/plain")
LOOPS = (1, 2, 4)
RESTORE = {
    "set_tid": "set_tid",
    "last_pid": "ns_last_pid",
    "last_pid_retry": "ns_last_pid, again until right",
}

METHOD = """\
In the guest: QEMU with `-icount shift=0,sleep=off -smp 1`, so that a nanosecond is an instruction, and without the
string instructions, of which each byte would count; {runs} boots of each kernel, the mean of their means of the middle half
of 100 calls; of waits, of all but the last 64. One program, one configuration (`kernel/configs/set_tid_bench.config`).
Spread: (largest - smallest) / mean over the boots, of the kernel where it is largest.
alloc_pid() is timed inside the kernel by `scripts/bench/alloc-pid.h`, which adds some ten instructions to a call.
Native: `tools/testing/pid`; callgrind's counts repeat exactly."""


def show_figure(value):
    return "" if value is None else f"{value:,.0f}"


def show_ratio(value):
    return "" if value is None else f"{value:.2f}"


def comparison(samples, what, rows):
    """A table of the two kernels; rows are (case, what), if the patched kernel has the case."""
    yield ""
    yield f"| {what} | patched | stock | ratio | spread |"
    yield "|---|---|---|---|---|"
    for case, name in rows:
        if samples.mean("patched", case) is None:
            continue
        cells = [name]
        cells += [show_figure(samples.mean(kernel, case)) for kernel in KERNELS]
        cells.append(show_ratio(samples.ratio(case, "stock")))
        cells.append(f"{100 * samples.spread(case):.1f} %")
        yield f"| {' | '.join(cells)} |"


def target_table(figures, base):
    yield "## Targets"
    yield ""
    yield "The worst of the cases that a line is about."
    yield ""
    yield "| | to | target | measured | |"
    yield "|---|---|---|---|---|"
    for target in targets.load(base):
        yield from target.rows(figures)


def alloc_pid(figures):
    yield "## alloc_pid() in the guest"
    requests = ("plain", "one", "all")
    rows = [(f"alloc/{r}/{level}", f"{r}, level {level}") for r in requests for level in LEVELS]
    yield from comparison(figures.guest, "instructions a call", rows)
    yield ""
    yield 'The unpatched kernel takes 32 PIDs at most: at level 32 its "all" is one less than the levels there are.'


def whole_calls(figures):
    yield "## Creating a process or a thread, and waiting for one that has ended"
    rows = [
        (f"{call}/{level}", f"{call.removesuffix('/plain').replace('/', ', ')}, level {level}")
        for call in CALLS
        for level in LEVELS
    ]
    yield from comparison(figures.guest, "instructions a call", rows)


def loop(figures):
    if figures.clock.runs:
        yield "## Threads created and joined, a second"
        yield ""
        yield (
            "By the clock, on two processors of the guest: each process creates and joins one thread after the other; "
            "all of them together. More is better. On a busy machine these say little."
        )
        rows = [(f"loop/{n}", f"{n}") for n in LOOPS]
        yield from comparison(figures.clock, "processes", rows)


def restore(figures):
    yield "## Restore: 2,000 live processes get back the PIDs they had, while another process forks"
    rows = []
    for method, name in RESTORE.items():
        rows.append((f"restore/{method}/ns", f"{name}: time, ns"))
        rows.append((f"restore/{method}/calls", f"{name}: system calls"))
        rows.append((f"restore/{method}/wrong", f"{name}: wrong PIDs"))
    yield from comparison(figures.guest, "", rows)


def table(title, note, columns, rows):
    yield f"## {title}"
    yield ""
    yield note
    yield ""
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def counted(figures):
    if figures.count:
        yield from table(
            "alloc_pid() and free_pid(), native, counted",
            "call/request/level/live PIDs; s: scattered, no two in one node of the IDR.",
            ("instructions a call", "ours", "stock", "ratio"),
            ((case, show_figure(n.ours), show_figure(n.base), show_ratio(n.ratio)) for case, n in figures.count.items()),
        )


def timed(figures):
    if figures.time:
        yield from table(
            "The same, timed",
            "Medians of five runs; x2: two threads at once. On a busy machine these say little.",
            ("ns a call", "ours", "stock", "ratio", "spread"),
            ((case, f"{n.ours:.1f}", f"{n.base:.1f}", show_ratio(n.ratio), f"{n.spread}") for case, n in figures.time.items()),
        )


def sizes(figures):
    yield "## Size"
    rows = [
        ("static/pid_bytes", "sizeof(struct pid), without its levels"),
        ("static/stack_bytes", "stack, clone3() to the deepest call of alloc_pid()"),
        ("static/code_bytes", "code of vmlinux"),
        ("static/data_bytes", "data of vmlinux"),
    ]
    yield from comparison(figures.static, "bytes", rows)


def render(figures, about, base):
    """The report; about: lines that say what was measured."""
    yield from about
    yield ""
    yield METHOD.format(runs=figures.guest.runs)
    with_base = functools.partial(target_table, base=base)
    for section in (with_base, alloc_pid, whole_calls, loop, restore, counted, timed, sizes):
        lines = list(section(figures))
        if lines:
            yield ""
            yield from lines


def main():
    build = Path(sys.argv[1])
    about = lines_of(build / "bench" / "about.md")
    print("\n".join(render(Figures.read(build), about, build.name)))


if __name__ == "__main__":
    main()
