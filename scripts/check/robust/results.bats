#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What a run leaves in build/$BASE/results, and what make results does with it.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment

# result COMMAND...: run that in a script that sources scripts/lib/result.sh
result() {
	try bash -c '. scripts/lib/common.sh; . scripts/lib/result.sh; "$@"' scripts/test/x "$@"
	[ "$status" = 0 ]
}

# said TEXT: the output is exactly that
said() { diff <(printf '%s\n' "$1") "$scratch/out"; }

@test "a result says where it comes from" {
	mkdir -p "build/$BASE/base"
	printf '%s\n' 'VERSION = 6' 'PATCHLEVEL = 12' 'SUBLEVEL = 117' 'EXTRAVERSION =' >"build/$BASE/base/Makefile"
	echo 'all is well' >text
	export KERNEL=stock MINUTES=5
	result bash -c '. scripts/lib/common.sh; . scripts/lib/result.sh; write_result "$@" <text' scripts/test/x \
		soak-stock 'A title' soak KERNEL MINUTES
	diff - "build/$BASE/results/soak-stock.md" <<-END
		<!-- SPDX-License-Identifier: GPL-2.0 -->
		# A title

		- commit: unknown (no git)
		- base: Linux 6.12.117
		- architecture: $(uname -m)
		- command: \`make soak BASE=$BASE KERNEL=stock MINUTES=5\`
		- date: $(date -u +%F)

		all is well
	END
}

@test "a result's command has what was set, and no path of the user's" {
	result result_command kselftest KERNEL DEBUG TARGETS
	said "make kselftest BASE=$BASE TARGETS='pidfd clone3 pid_namespace'"
	export KERNEL=stock DEBUG=kasan TARGETS=pidfd KDIR=$small
	result result_command kselftest KERNEL DEBUG TARGETS
	said 'make kselftest KERNEL=stock DEBUG=kasan TARGETS=pidfd KDIR=/path/to/linux'
	unset KDIR KERNEL DEBUG TARGETS
	MUTANTS="it's two" result result_command mutants MUTANTS
	said "make mutants BASE=$BASE MUTANTS='it'\\''s two'"
}

@test "a result's commit counts changes, but not those of results" {
	git init -q .
	git add -A
	git -c user.name=check -c user.email=check@localhost commit -qm all
	printf 'build/\n' >.git/info/exclude
	result result_commit
	said "$(git rev-parse --short=12 HEAD)"
	mkdir results
	echo >results/soak.md
	result result_commit
	said "$(git rev-parse --short=12 HEAD)"
	echo >>Makefile
	result result_commit
	said "$(git rev-parse --short=12 HEAD), with uncommitted changes"
}

@test "a run of the selftests leaves what failed" {
	echo '3 passed, 1 failed, 0 skipped' >counts
	echo a_test:row01 >failed
	result write_test_result counts failed 1
	grep -qx '\*\*Not as expected\*\*: 3 passed, 1 failed, 0 skipped\.' "build/$BASE/results/kselftest-patched.md"
	grep -qx 'Failed:' "build/$BASE/results/kselftest-patched.md"
	grep -qx -- '- a_test:row01' "build/$BASE/results/kselftest-patched.md"
	KERNEL=stock result write_test_result counts failed 0
	grep -qx 'As expected: 3 passed, 1 failed, 0 skipped\.' "build/$BASE/results/kselftest-stock.md"
	grep -q 'stock-expected' "build/$BASE/results/kselftest-stock.md"
	: >failed
	DEBUG=kasan result write_test_result counts failed 0
	[ "$(tail -n 1 "build/$BASE/results/kselftest-kasan-patched.md")" = 'As expected: 3 passed, 1 failed, 0 skipped.' ]
	grep -qF "\`make kselftest BASE=$BASE DEBUG=kasan " "build/$BASE/results/kselftest-kasan-patched.md"
}

@test "a run of CRIU leaves how many restores failed" {
	mkdir -p "build/$BASE/log"
	cat >"build/$BASE/log/kselftest-criu-on-criu-patched.log" <<-'END'
		# #  RUN           rounds.threads.some_fail ...
		# # set_tid_criu_test.cpp:394:some_fail:round 5: pie: 321: Error: File exists
		# # set_tid_criu_test.cpp:394:some_fail:5 of 14 restores failed at first
	END
	GUEST=criu VARIANT=criu result criu_rounds
	said $'\n| test | counted |\n|---|---|\n| `rounds.threads.some_fail` | 5 of 14 restores failed at first |'
}

@test "a soak leaves its seed, its counts and that it failed" {
	guest <<-'END'
		set_tid_model_test: seed 7, workers 1, 10 s: 100 calls
		set_tid_model_test: seed 7, workers 4, 10 s: 200 calls
		# race: 30 rounds
		not ok 1 race
		guest-end 1
	END
	mkdir -p "build/$BASE/kselftest/pidfd"
	touch "build/$BASE/kselftest/pidfd/set_tid_model_test"
	chmod +x "build/$BASE/kselftest/pidfd/set_tid_model_test"
	export MINUTES=2 SEED=7
	try scripts/test/soak
	[ "$status" = 1 ]
	text='300 calls, 200 of them from several workers; 30 rounds of races; 1 mismatches; not all was run, or not all was right'
	[ "$(tail -n 1 "$scratch/out")" = "$text" ]
	[ "$(tail -n 1 "build/$BASE/results/soak-patched.md")" = "Seed 7: $text." ]
	grep -qFx -- "- command: \`make soak BASE=$BASE MINUTES=2 SEED=7\`" "build/$BASE/results/soak-patched.md"
}

@test "make results without results is an error, and otherwise copies them" {
	try scripts/test/publish
	fails_with "^error: build/$BASE/results has no result"
	mkdir -p "build/$BASE/results"
	printf '%s\n' '- commit: 123' '- command: `make soak`' >"build/$BASE/results/soak-patched.md"
	echo '{}' >"build/$BASE/results/for-machines.json"
	try scripts/test/publish
	[ "$status" = 0 ]
	said "results/$BASE/soak-patched.md: 123 \`make soak\`"
	[ "$(ls results/*)" = soak-patched.md ]
	cmp "build/$BASE/results/soak-patched.md" "results/$BASE/soak-patched.md"
}

@test "CI skips what it has no time for, names it, and does not pass with nothing run" {
	cp -r "$ROOT/.ci" .
	fake make <<<'echo "7 passed, 0 failed, 1 skipped"'
	try env CI_MINUTES=0 .ci/run
	[ "$status" = 1 ]
	grep -qFx "== not run, 0 minutes are over: make criu BASE=$BASE ROUNDS=2 TIMEOUT=1800" "$scratch/out"
	[ "$(tail -n 1 "$scratch/out")" = '0 passed, 0 failed, 5 skipped' ]
	try env CI_MINUTES=60 .ci/run
	[ "$status" = 0 ]
	# Three count their cases, two as one.
	[ "$(tail -n 1 "$scratch/out")" = '23 passed, 0 failed, 3 skipped' ]
	try env CI_MINUTES=x .ci/run
	fails_with '^error: CI_MINUTES=x is not a number'
}
