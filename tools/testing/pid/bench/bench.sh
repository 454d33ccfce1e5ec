#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh OUT: time of alloc_pid() and free_pid(), ours and, if it was built,
# the base's. Each case is run REPEAT times; the median counts.
#
# Output: a table, also in OUT/bench. "alloc" and "free" are ns a call,
# "threads" is ns a call of both, of all threads together. The spread is that of
# ours (standard deviation to mean).

set -euo pipefail
export LC_ALL=C

out=$1
repeat=${REPEAT:-5}
seconds=${MIN_TIME:-0.05}

# measure CONTENDER: "case median spread" lines
measure() {
	"$out/$1/pid_bench" --benchmark_repetitions="$repeat" --benchmark_min_time="$seconds" \
		--benchmark_enable_random_interleaving=true \
		--benchmark_report_aggregates_only=true --benchmark_format=csv \
		2>"$out/bench-$1.log" >"$out/bench-$1.csv" || {
		cat "$out/bench-$1.log" >&2
		return 1
	}
	awk -F, '
	!columns && /^name,/ { columns = 1; next }
	columns {
		gsub(/"/, "")
		# plain/4/1/17/real_time/threads:2_median: 17 is its index
		name = $1
		what = name
		sub(/.*_/, "", what)
		sub(/_[a-z]*$/, "", name)
		threads = name ~ /threads:/ ? name : ""
		sub(/.*threads:/, "", threads)
		split(name, part, "/")
		name = part[1] "/" part[2] "/" part[3] "/" part[4]
		if (threads)
			name = name " x" threads
		else if (part[1] == "threads")
			name = name " x1"
		sub(/ /, "_", name)
		if (what == "median") {
			ns[name] = 1e9 / $7
			order[++n] = name
		}
		if (what == "cv")
			spread[name] = $7
	}
	END {
		for (i = 1; i <= n; i++)
			printf "%s %.1f %.3f\n", order[i], ns[order[i]], spread[order[i]]
	}' "$out/bench-$1.csv" | sort -V
}

measure ours >"$out/bench-ours.txt"
: >"$out/bench-base.txt"
[ ! -x "$out/base/pid_bench" ] || measure base >"$out/bench-base.txt"

awk '
FNR == 1 { file = FILENAME }
file ~ /bench-base.txt$/ { base[$1] = $2; next }
!header++ { printf "%-28s %9s %9s %6s %7s\n", "case", "ours", "base", "ratio", "spread" }
{
	printf "%-28s %9.1f %9.1f %6.3f %6.1f%%\n", $1, $2, base[$1],
		base[$1] ? $2 / base[$1] : 0, 100 * $3
}' "$out/bench-base.txt" "$out/bench-ours.txt" | tee "$out/bench"
