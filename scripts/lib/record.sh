# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced after common.sh: what a run leaves for machines, build/$BASE/results/NAME.json,
# .ktap and .xml (CONTRIBUTING.md, "Results"). result.sh has what it leaves for people.
#
# A run writes its results to a record as they come; scripts/test/export-record, which has the
# record's format, makes the files from it when the run ends, whatever ends it.
#
# Sets: RECORD, the record's file.

. "$ROOT/scripts/lib/result.sh"

# start_record NAME TARGET [VARIABLE...]: a run begins; the others are result_command's. The
# files of the last one go, so that nobody takes them for those of a run that was killed.
start_record() {
	record_path=$RESULTS/$1
	RECORD=$LOG/$1.record
	record_start=$(date +%s.%N)
	shift
	record_command=$(result_command "$@")
	record_end=
	mkdir -p "$RESULTS"
	rm -f "$record_path".{json,ktap,xml}
	: >"$RECORD"
}

# record_kernel [GUEST]: the kernel's version, as it was built; with GUEST, as the one that
# was booted has said
record_kernel() {
	local said=
	[ ! "${1:-}" ] ||
		said=$(sed -n 's/^\[[ 0-9.]*\] Linux version \([^ ]*\) .*/\1/p; T; q' "$LOG/console-$NAME.log" 2>/dev/null) || true
	[ "$said" ] || said=$(cat "$OBJ/include/config/kernel.release" 2>/dev/null) || true
	say "$said"
}

# export_record $? [COUNTS [GUEST]]: for trap ... EXIT. Before its end a run sets record_end to
# "complete". COUNTS: its last line. GUEST is there if one was booted: scripts/vm/boot's
# status, and the error if it is not 0.
export_record() {
	"$ROOT/scripts/test/export-record" "$RECORD" "$record_path" "$1" "$record_end" "${3:-0}" "${2:-}" \
		"start=$record_start" "command=$record_command" "commit=$RESULT_COMMIT" \
		"base=$(result_base | sed 's/^Linux //; /^unknown$/d')" "kernel=$(record_kernel "${3:-}")" \
		"architecture=$(uname -m)" ||
		die "the results for machines could not be written: $(short "$record_path").*"
}

# record_program NAME: the cases that follow are of this program
record_program() { printf 'program\t%s\n' "$1" >>"$RECORD"; }

# record_program_end SECONDS
record_program_end() { printf 'end\t%s\t\n' "$1" >>"$RECORD"; }

# record_case RESULT SECONDS NAME NOTE [LOG]: for runs that record their cases themselves; of
# LOG, the end
record_case() {
	printf 'case\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4//$'\t'/ }" >>"$RECORD"
	[ ! "${5:-}" ] || tail -n 40 "$5" | tr '\000-\010\013-\037\177' '?' | tr '\t' ' ' | sed 's/^/said\t/' >>"$RECORD"
}
