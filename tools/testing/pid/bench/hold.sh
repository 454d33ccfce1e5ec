#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hold.sh OUT: the longest hold of pidmap_lock in each call of alloc_pid() and
# free_pid(), in instructions, counted by callgrind, of ours and of the base.
#
# Output: a table, also in OUT/hold. Cases are call/what/level/new nodes. The last
# lines compare the worst cases with the longest hold of the base in which an IDR
# gets no new node, and with the targets; it fails if one is not met. OUT/hold-worst
# has them as "case, ratio, highest ratio allowed or 0", with tabs in between.

set -euo pipefail
export LC_ALL=C

out=$1
shopt -s nullglob

# count CONTENDER: "case instructions" lines, the longest hold of each case
count() {
	local dir=$out/callgrind-hold-$1 dumps
	rm -rf "$dir"
	mkdir -p "$dir"
	valgrind --tool=callgrind --callgrind-out-file="$dir/dump" --collect-atstart=no \
		"$out/hold-$1/pid_hold" 2>"$dir/log" || {
		cat "$dir/log" >&2
		return 1
	}
	mapfile -t dumps < <(printf '%s\n' "$dir"/dump.* | sort -V)
	awk '
	/^desc: Trigger: Client Request: / { name = $NF }
	/^totals: / && name {
		# The first is an empty hold: what counting costs.
		if (name == "nothing")
			cost = $2
		else if ($2 - cost > longest[name])
			longest[name] = $2 - cost
		name = ""
	}
	END {
		for (name in longest)
			print name, longest[name]
	}' "${dumps[@]}" | sort -V
}

count ours >"$out/hold-ours.txt" &
count base >"$out/hold-base.txt"
wait $!

awk -v worst_file="$out/hold-worst" '
FNR == 1 { file++ }
file == 1 {
	base[$1] = $2
	if ($2 > longest && $1 !~ /tree|leaf/)
		longest = $2
	next
}
!header++ { printf "%-36s %9s %9s %6s\n", "longest hold, instructions", "ours", "base", "ratio" }
{
	printf "%-36s %9d %9d %6.3f\n", $1, $2, base[$1], base[$1] ? $2 / base[$1] : 0
	split($1, part, "/")
	kind = part[2] ~ /^(automatic|requested)/ ? "success" : "failure"
	if ($2 > worst[kind, part[4] == "none"])
		worst[kind, part[4] == "none"] = $2
}
function target(what, measured, most,   ratio) {
	ratio = measured / longest
	printf "%-36s %9d %9d %6.3f %s\n", what, measured, longest, ratio,
		!most ? "" : ratio <= most ? "<= " most ": met" : "<= " most ": not met"
	printf "%s\t%.3f\t%s\n", what, ratio, most >worst_file
	if (most && ratio > most)
		bad = 1
}
END {
	print ""
	printf "%-36s %9s %9s %6s\n", "worst case", "ours", "base", "ratio"
	target("success, no new nodes", worst["success", 1], 1)
	target("failure, no new nodes", worst["failure", 1], 1.6)
	target("success, new nodes", worst["success", 0], 0)
	target("failure, new nodes", worst["failure", 0], 0)
	exit bad
}' "$out/hold-base.txt" "$out/hold-ours.txt" | tee "$out/hold"
