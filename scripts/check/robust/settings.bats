#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What the user sets, and what the documents say: an error that names it.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment

# refused NAME=VALUE COMMAND...: a single line that names the variable
refused() {
	try env "$@"
	fails_with "^error: .*${1%%=*}"
	[ "$(wc -l <"$scratch/out")" = 1 ] || { echo "more than one line"; return 1; }
}

@test "a compiler that cannot build the tests is an error" {
	export TARGETS=pidfd
	tree
	fake make <<-'FAKE'
		echo 'Makefile:36: no C++20 compiler (g++): the set_tid tests are left out' >&2
		mkdir -p "build/kdir/$BASE/kselftest.tmp"
	FAKE
	try scripts/build/selftests
	fails_with '^error: no C++20 compiler (g++): the set_tid tests are left out'
	[ ! -e "build/kdir/$BASE/kselftest.stamp" ]
}

# documented COMMAND KIND LISTED: run scripts/check/commands, if a document has the one command and the
# list the other
documented() {
	printf '%s\n' '# A document' '' "    $1" '' 'The end.' >"$scratch/document"
	printf '%s\t%s\twhy\n' "$2" "$3" >"$scratch/commands"
	try env DOCS="$scratch/document" COMMANDS="$scratch/commands" scripts/check/commands
}

@test "a command in a document that is not listed, or fails, is an error" {
	local line='make tree JOBS=2    # a comment'
	tree
	documented "$line" make "${line%%  *}"
	[ "$status" = 0 ]
	documented "$line" make 'make tree'
	fails_with 'make tree JOBS=2: scripts/check/commands.list does not list it'
	fails_with 'lists what no document has: make tree$'
	documented 'make forest' make 'make forest'
	fails_with 'make -n fails'
	documented 'make tree JOBS=some' make 'make tree JOBS=some'
	fails_with 'a value is refused'
	documented 'make tree WOOD=1' make 'make tree WOOD=1'
	fails_with 'the Makefile has no WOOD'
	documented 'make check CHECKS=none' make 'make check CHECKS=none'
	fails_with 'there is no check none'
	documented 'scripts/test/native sing' script 'scripts/test/native sing'
	fails_with 'it does not know sing'
	documented 'cd /path/to/linux-6.12 && test -e kernel/fork.c' run 'cd /path/to/linux-6.12 && test -e kernel/fork.c'
	[ "$status" = 0 ]
	documented 'git am nothing' run 'git am nothing'
	fails_with 'git am nothing: status'
}

@test "a variable with nonsense in it is named in one line" {
	local programs=tools/testing/selftests/pidfd/set_tid.mk
	guest <<<'guest-end 0'
	mkdir -p "${programs%/*}"
	cp "$ROOT/$programs" "$programs"
	refused KERNEL=nonsense scripts/build/kernel
	refused BASE=nonsense scripts/tree/apply
	refused ACCEL=nonsense scripts/vm/boot true
	refused JOBS=abc scripts/build/kernel
	refused JOBS=0 scripts/build/kernel
	refused TIMEOUT=-1 scripts/vm/boot true
	refused MEM=big scripts/vm/boot true
	refused RUNS=0 scripts/bench/run
	refused MINUTES=0 scripts/test/soak
	refused PID_MAX=many scripts/vm/boot true
	refused PID_MAX=300 scripts/vm/boot true
	refused PID_MAX=4194305 scripts/vm/boot true
	refused CHECKS=nonsense scripts/check/run
	refused ONLY=nonsense scripts/mutants/run
	refused TESTS=set_tid_nonsense scripts/mutants/run
	unset TARGETS
	tree
	refused TARGETS=nonsense scripts/build/selftests
}
