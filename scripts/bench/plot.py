#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""plot.py BUILD: plot BUILD/bench/counted as BUILD/bench/alloc_pid.svg and .png.

Standard input: where the figures come from, which the SVG has as a comment. The points go
into BUILD/bench/CALL-KERNEL.dat, where plot.gp reads them.
"""

import subprocess
import sys
from pathlib import Path

from figures import KERNELS, Figures

SCRIPT = Path(__file__).with_name("plot.gp")
# width,height and size of the text
TERMINALS = {"svg": ("900,380", "13"), "png": ("1350,570", "17")}


def points(samples, kernel, call):
    """Lines "level, thousand instructions"; a point beyond the plot for a kernel without any."""
    levels = samples.levels(kernel, f"{call}/plain") or [(-1, -1000)]
    return [f"{level} {mean / 1000:g}" for level, mean in levels]


def comment(text):
    """An XML comment; two hyphens would end it."""
    return f"<!--\n{text.strip().replace('--', '- -')}\n-->\n"


def main():
    bench = Path(sys.argv[1]) / "bench"
    samples = Figures.read(sys.argv[1]).guest
    for call in ("alloc", "thread"):
        for kernel in KERNELS:
            lines = points(samples, kernel, call)
            (bench / f"{call}-{kernel}.dat").write_text("\n".join(lines) + "\n")
    for terminal, (size, text) in TERMINALS.items():
        subprocess.run(["gnuplot", "-c", SCRIPT, bench, terminal, size, text], check=True)

    svg = bench / "alloc_pid.svg"
    declaration, rest = svg.read_text().split("\n", 1)
    notes = "<!-- SPDX-License-Identifier: GPL-2.0 -->\n" + comment(sys.stdin.read())
    svg.write_text(f"{declaration}\n{notes}{rest}")


if __name__ == "__main__":
    main()
