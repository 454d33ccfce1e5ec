#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Measure alloc_pid() and free_pid(), ours next to the base's, and print a table.

measure.py count OUT: instructions a call, by callgrind, also in OUT/count. Fails if
a ratio is more than 3 % worse than in count.ref, or a case is only in one of the two.
measure.py count-ref OUT: the same; the ratios are written to count.ref.
measure.py hold OUT: the longest hold of pidmap_lock in each case, in instructions,
also in OUT/hold. Compares the worst cases with hold.targets and fails if one is not
met; OUT/hold-worst has them as "case, ratio, target", with tabs in between.
measure.py time OUT: ns a call, by Google Benchmark, the median of REPEAT runs, also in
OUT/bench. "threads" is ns a call of both, of all threads together. The spread is the
standard deviation of ours, divided by the mean.

OUT is where the Makefile has built the programs. Cases are call/request/level/PIDs in
use ("s" for scattered), where "pair" is alloc and free together; for hold they are
call/what/level/new nodes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent


def run(command):
    """Return what the command prints; if it fails, exit with its messages."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f'{command[0]}: status {done.returncode}\n{done.stderr}')
    return done.stdout


def callgrind(program, *options):
    """Run a program; return its output and [name, instructions] of each dump."""
    dumps = program.parent / 'callgrind'
    shutil.rmtree(dumps, ignore_errors=True)
    dumps.mkdir()
    output = run(['valgrind', '--tool=callgrind', f'--callgrind-out-file={dumps}/dump',
                  *options, str(program)])
    counts = []
    for dump in sorted(dumps.glob('dump.*'), key=lambda path: int(path.suffix[1:])):
        found = re.search(r'^desc: Trigger: Client Request: ([^\n]*)$.*^totals: (\d+)',
                          dump.read_text(), re.MULTILINE | re.DOTALL)
        if found:
            counts.append([found[1], int(found[2])])
    return output, counts


def both(measure):
    """Return what measure() returns for ours and for the base, run side by side."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(measure, ['ours', 'base']))


def natural(name):
    """A key to sort names by, in which numbers count as numbers."""
    return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', name)]


def ratio(ours, base):
    return ours / base if base else 0


def publish(lines, path):
    text = '\n'.join(lines) + '\n'
    path.write_text(text)
    print(text, end='')


def read_data(name):
    """Yield the lines of a file beside this one, without its comments."""
    for line in (HERE / name).read_text().splitlines():
        if not line.startswith('#'):
            yield line


def count(out):
    """Print and return the table; see above."""
    def measure(contender):
        calls, counts = callgrind(out / contender / 'pid_count', '--toggle-collect=alloc_pid',
                                  '--toggle-collect=free_pid')
        each = {}
        for name, total in counts:
            each[name] = round(total / int(calls), 1)
            call, case = name.split('/', 1)
            if call == 'free':
                each[f'pair/{case}'] = round(each[f'alloc/{case}'] + each[name], 1)
        return each

    ours, base = both(measure)
    ratios = {name: round(ratio(n, base.get(name, 0)), 3) for name, n in ours.items()}
    publish([f'{"case":24} {"ours":>9} {"base":>9} {"ratio":>6}'] +
            [f'{name:24} {n:9.1f} {base.get(name, 0):9.1f} {ratios[name]:6.3f}'
             for name, n in ours.items()], out / 'count')
    return ratios


def compare_counts(ratios):
    """Print what differs from count.ref, and return whether something is worse."""
    reference = {name: float(was) for name, was in map(str.split, read_data('count.ref'))}
    worse = [f'{name}: not in the reference' for name in ratios if name not in reference]
    worse += [f'{name}: only in the reference' for name in reference if name not in ratios]
    common = [(name, ratios[name], was) for name, was in reference.items() if name in ratios]
    worse += [f'{name}: ratio {now}, was {was}' for name, now, was in common
              if now > was * 1.03 or not now]
    better = sum(0 < now < was / 1.03 for _, now, was in common)
    for line in worse:
        print(line)
    if better:
        print(f'{better} cases are more than 3 % better than the reference: make count-ref')
    return bool(worse)


def write_reference(ratios):
    (HERE / 'count.ref').write_text(
        '# SPDX-License-Identifier: GPL-2.0\n'
        '# case, instructions of ours to those of the base; written by make count-ref\n' +
        ''.join(f'{name} {now:.3f}\n' for name, now in ratios.items()))


def longest_holds(holds):
    """Return the longest hold of each kind and level: ("success, no new nodes", "32")."""
    longest = {}
    for name, instructions in holds.items():
        _, what, level, nodes = name.split('/')
        success = what.startswith(('automatic', 'requested'))
        kind = (f'{"success" if success else "failure"}, '
                f'{"no new nodes" if nodes == "none" else "new nodes"}')
        longest[kind, level] = max(longest.get((kind, level), 0), instructions)
    return longest


def worst_hold(ours, base, kind):
    """Return the level that compares worst, our longest hold of that kind there, and the
    base's longest there; with "no new nodes" of those that need none, too."""
    def limit(level):
        return max(longest for (of, at), longest in base.items() if at == level and
                   (of.endswith('no new nodes') or not kind.endswith('no new nodes')))

    return max(((level, longest, limit(level)) for (of, level), longest in ours.items()
                if of == kind), key=lambda worst: ratio(*worst[1:]))


def hold(out):
    """Print the table and return whether a target is not met; see above."""
    def measure(contender):
        _, counts = callgrind(out / f'hold-{contender}' / 'pid_hold', '--collect-atstart=no')
        # The first one is an empty hold: what counting costs.
        cost = counts.pop(0)[1]
        longest = {}
        for name, total in counts:
            longest[name] = max(longest.get(name, 0), total - cost)
        return longest

    ours, base = both(measure)
    row = '{:36} {:9} {:9} {:6.3f}'.format
    head = '{:36} {:>9} {:>9} {:>6}'.format
    lines = [head('longest hold, instructions', 'ours', 'base', 'ratio')]
    for name in sorted(ours, key=natural):
        lines.append(row(name, ours[name], base.get(name, 0),
                         ratio(ours[name], base.get(name, 0))))
    lines += ['', head('longest at the worst level', 'ours', 'base', 'ratio')]
    missed, results = False, ''
    longest_of_ours, longest_of_base = longest_holds(ours), longest_holds(base)
    for kind, target in (line.split('\t') for line in read_data('hold.targets')):
        level, longest, limit = worst_hold(longest_of_ours, longest_of_base, kind)
        met = longest <= float(target) * limit
        verdict = f' <= {target}: {"met" if met else "not met"}' if target != '0' else ''
        lines.append(row(f'{kind}, level {level}', longest, limit, ratio(longest, limit)) +
                     verdict)
        results += f'{kind}\t{ratio(longest, limit):.3f}\t{target}\n'
        missed |= target != '0' and not met
    publish(lines, out / 'hold')
    (out / 'hold-worst').write_text(results)
    return missed


def measure_time(program):
    """Return the ns a call of each case, and the spread of each."""
    result = program.with_name('bench.json')
    run([str(program), f'--benchmark_repetitions={os.environ.get("REPEAT", 5)}',
         f'--benchmark_min_time={os.environ.get("MIN_TIME", 0.05)}',
         '--benchmark_enable_random_interleaving=true',
         '--benchmark_report_aggregates_only=true',
         f'--benchmark_out={result}', '--benchmark_out_format=json'])
    ns, spread = {}, {}
    for entry in json.loads(result.read_text())['benchmarks']:
        # plain/4/1/17/manual_time: 17 is the index of the case
        name = '/'.join(entry['run_name'].split('/')[:4])
        if name.startswith('threads/'):
            name += f'_x{entry["threads"]}'
        if entry['aggregate_name'] == 'median':
            ns[name] = round(1e9 / entry['items_per_second'], 1)
        elif entry['aggregate_name'] == 'cv':
            spread[name] = entry['items_per_second']
    return ns, spread


def time(out):
    """Print the table; see above."""
    # One after the other: they are measured by the clock.
    ours, spread = measure_time(out / 'ours' / 'pid_bench')
    base, _ = measure_time(out / 'base' / 'pid_bench')
    publish([f'{"case":28} {"ours":>9} {"base":>9} {"ratio":>6} {"spread":>7}'] +
            [f'{name:28} {ours[name]:9.1f} {base[name]:9.1f} '
             f'{ratio(ours[name], base[name]):6.3f} {100 * spread[name]:6.1f}%'
             for name in sorted(ours, key=natural)], out / 'bench')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    what, out = sys.argv[1], Path(sys.argv[2])
    if what == 'count':
        return compare_counts(count(out))
    if what == 'count-ref':
        return write_reference(count(out))
    if what == 'hold':
        return hold(out)
    if what == 'time':
        return time(out)
    sys.exit(__doc__.strip())


if __name__ == '__main__':
    sys.exit(main())
