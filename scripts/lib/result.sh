# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced after common.sh by each script whose result people read later. A run leaves
# build/$BASE/results/NAME.md, which says where it comes from; make results copies what is
# there into results/.

RESULTS=$B/results

# result_commit: what is tested, as git names it. Other results do not count as changes.
result_commit() {
	local commit
	commit=$(repository rev-parse --short=12 HEAD 2>/dev/null) || {
		say 'unknown (no git)'
		return
	}
	[ -z "$(repository status --porcelain -- . ':!results')" ] || commit+=', with uncommitted changes'
	say "$commit"
}
# When the run starts: somebody may commit before it ends.
RESULT_COMMIT=$(result_commit)

# result_base: the version of the base
result_base() {
	[ -e "$PRISTINE/Makefile" ] || {
		say unknown
		return
	}
	say "Linux $(makefile_version SUBLEVEL <"$PRISTINE/Makefile")"
}

# result_command TARGET [VARIABLE...]: the make that does the same again, with those of the
# variables that are set, and the base: another day it may be another one. Where the user's own trees are is nobody's business.
result_command() {
	local command="make $1" name value
	shift
	for name in BASE "$@" KDIR; do
		value=${!name:-}
		case $name=$value in
		*= | KERNEL=patched) continue ;;
		BASE=*) [ ! "$KDIR" ] || continue ;;
		KDIR=*) value=/path/to/linux ;;
		CRIU_SRC=*) value=/path/to/criu ;;
		esac
		[[ $value =~ ^[A-Za-z0-9_.,:/-]+$ ]] || value="'${value//\'/\'\\\'\'}'"
		command+=" $name=$value"
	done
	say "$command"
}

# result_origin TARGET [VARIABLE...]: where a result comes from, as a list in Markdown
result_origin() {
	say "- commit: $RESULT_COMMIT"
	say "- base: $(result_base)"
	say "- architecture: $(uname -m)"
	say "- command: \`$(result_command "$@")\`"
	say "- date: $(date -u +%F)"
}

# write_result NAME TITLE TARGET [VARIABLE...]: write build/$BASE/results/NAME.md. Its text is
# the standard input, its links are those of a file in results/.
write_result() {
	local file=$RESULTS/$1.md title=$2
	shift 2
	mkdir -p "$RESULTS"
	{
		say '<!-- SPDX-License-Identifier: GPL-2.0 -->'
		say "# $title"
		say
		result_origin "$@"
		say
		cat
	} >"$file.tmp"
	mv "$file.tmp" "$file"
}

# result_criu: the version of the CRIU that was tested
result_criu() {
	if [ "$CRIU_SRC" ]; then
		awk '$1 ~ /^CRIU_VERSION_(MAJOR|MINOR|SUBLEVEL)$/ && NF > 2 { version = version "." $3 }
		     END { print substr(version, 2) }' "$B/criu/Makefile.versions"
	elif [ "$(criu_suites)" ]; then
		cat "$B/criu-packages/etc/criu-version"
	else
		criu --version | awk '/^Version:/ { print $2 }'
	fi
}

# test_run: what scripts/test/kselftest runs: its title, and in run its name and
# result_command's arguments
test_run() {
	if [ "$CRIU_SRC" ]; then
		title="CRIU's own tests about PIDs"
		run=("criu-suite-$KERNEL" criu KERNEL CRIU_SRC ZDTM)
	elif [ "$GUEST" = criu ]; then
		title='CRIU dumps and restores'
		run=("criu-$KERNEL" criu KERNEL ROUNDS)
	else
		title='The selftests in the guest'
		run=("kselftest-$NAME" kselftest KERNEL DEBUG TARGETS PID_MAX)
	fi
}

# criu_rounds: a table of how many restores failed in the tests that count them, or nothing
criu_rounds() {
	awk '
	/ RUN +rounds\./ { name = $4 }
	sub(/.*:/, "") && / restores failed at first$/ {
		if (!rows++) printf "\n| test | counted |\n|---|---|\n"
		print "| `" name "` | " $0 " |"
	}' "$LOG/kselftest-$NAME.log"
}

# write_test_result COUNTS FAILED STATUS: write the result of a run of scripts/test/kselftest:
# build/$BASE/results/kselftest-NAME.md, criu-KERNEL.md or criu-suite-KERNEL.md. COUNTS and FAILED
# are files: "N passed, N failed, N skipped"; a failed case a line. STATUS is that of the run.
write_test_result() {
	local counts=$1 failed=$2 status=$3 title run
	test_run
	{
		[ "$GUEST" != criu ] || say "CRIU $(result_criu)."
		say "$([ "$status" = 0 ] && echo "As expected" || echo "**Not as expected**"): $(cat "$counts")."
		[ "$GUEST" != criu ] || criu_rounds
		if [ -s "$failed" ]; then
			say
			if [ "$KERNEL" != patched ] && [ "$status" = 0 ]; then
				say "What fails is what [stock-expected](../../scripts/test/stock-expected/$BASE) lists for it:"
			else
				say 'Failed:'
			fi
			say
			sed 's/^/- /' "$failed"
		fi
	} | write_result "${run[0]}" "$title" "${run[@]:1}"
}
