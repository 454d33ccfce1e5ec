#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# count.sh OUT [REFERENCE]: instructions a call of alloc_pid() and free_pid(),
# counted by callgrind, of ours and, if it was built, of the base.
#
# Output: a table, also in OUT/count. Cases are call/request/level/PIDs in use,
# "s" for scattered. Fails if a ratio to the base is more than 3 % worse than in
# REFERENCE, or a case is in only one of the two.

set -euo pipefail
export LC_ALL=C

out=$1
reference=${2:-}
shopt -s nullglob

# count CONTENDER: "case instructions" lines
count() {
	local dir=$out/callgrind-$1 calls dumps
	rm -rf "$dir"
	mkdir -p "$dir"
	calls=$(valgrind --tool=callgrind --callgrind-out-file="$dir/dump" \
		--toggle-collect=alloc_pid --toggle-collect=free_pid \
		"$out/$1/pid_count" 2>"$dir/log") || {
		cat "$dir/log" >&2
		return 1
	}
	mapfile -t dumps < <(printf '%s\n' "$dir"/dump.* | sort -V)
	awk -v calls="$calls" '
	/^desc: Trigger: Client Request: / { name = $NF }
	/^totals: / && name { printf "%s %.1f\n", name, $2 / calls; name = "" }
	' "${dumps[@]}"
}

count ours >"$out/count-ours.txt" &
: >"$out/count-base.txt"
[ ! -x "$out/base/pid_count" ] || count base >"$out/count-base.txt"
wait $!

awk '
FNR == 1 { file = FILENAME }
file ~ /count-base.txt$/ { base[$1] = $2; next }
!header++ { printf "%-24s %9s %9s %6s\n", "case", "ours", "base", "ratio" }
{
	printf "%-24s %9.1f %9.1f %6.3f\n", $1, $2, base[$1], base[$1] ? $2 / base[$1] : 0
}' "$out/count-base.txt" "$out/count-ours.txt" | tee "$out/count"

[ "$reference" ] || exit 0
awk '
FNR == 1 { file++ }
/^#/ { next }
file == 1 { reference[$1] = $2; next }
FNR > 1 {
	seen[$1] = 1
	if (!($1 in reference)) {
		print $1 ": not in the reference"
		bad = 1
	} else if ($4 > reference[$1] * 1.03 || !$4) {
		print $1 ": ratio " $4 ", was " reference[$1]
		bad = 1
	} else if ($4 < reference[$1] / 1.03) {
		better++
	}
}
END {
	for (c in reference) {
		if (!(c in seen)) {
			print c ": only in the reference"
			bad = 1
		}
	}
	if (better)
		print better " cases are more than 3 % better than the reference: make count-ref"
	exit bad
}' "$reference" "$out/count"
