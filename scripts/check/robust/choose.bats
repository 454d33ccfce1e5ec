#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# TESTS and SPLIT: what they choose is what runs, and a choice of nothing is an error.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment

# Programs on the harness, which list their cases, and one that must not be started.
programs() {
	local name
	guest <<<'guest-end 0'
	mkdir -p "build/$BASE/kselftest/pidfd"
	for name in a_test b_test; do
		cat >"build/$BASE/kselftest/pidfd/$name" <<-'PROGRAM'
			#!/bin/sh
			# run specified test
			[ "$1" = -l ] || exit 1
			echo '# FIXTURE            VARIANT                   TEST' >&2
			echo 'global                                         row01_one' >&2
			echo '                                               row02_two' >&2
			echo '--------------------------------------------------------' >&2
			echo 'a_fixture_with_a_long_name plain                     row01_of_each' >&2
			echo '                     a_variant_with_a_name_that_is_long row03_of_each' >&2
		PROGRAM
		chmod +x "build/$BASE/kselftest/pidfd/$name"
	done
	sed -i 's/row02/row12/' "build/$BASE/kselftest/pidfd/b_test"
	printf '#!/bin/sh\ntouch started\n' >"build/$BASE/kselftest/pidfd/c_test"
	chmod +x "build/$BASE/kselftest/pidfd/c_test"
	printf 'pidfd:%s\n' a_test b_test c_test >"build/$BASE/kselftest/kselftest-list.txt"
}

# choose NAME=VALUE...: what is run in the guest goes to chosen, which cases to cases
choose() {
	try env "$@" scripts/test/choose cases arguments
	[ ! -e started ]
}

# refused NAME=VALUE...: a single line that names the variable
refused() {
	choose "$@"
	fails_with "^error: ${1%%=*}"
	[ "$(wc -l <"$scratch/out")" = 1 ] || { echo "more than one line"; return 1; }
}

@test "without TESTS it is all of TARGETS" {
	programs
	choose
	[ "$(cat "$scratch/out")" = $'pidfd:a_test\npidfd:b_test\npidfd:c_test' ]
	[ "$(cat arguments)" = pidfd ]
	[ ! -s cases ]
}

@test "a program's name chooses the program" {
	programs
	choose TESTS='c_test'
	[ "$(cat "$scratch/out")" = pidfd:c_test ]
	[ "$(cat arguments)" = pidfd:c_test ]
	[ ! -s cases ]
}

@test "other words choose cases, in the programs that were named or in all" {
	programs
	choose TESTS='row01*'
	[ "$(cat "$scratch/out")" = $'pidfd:a_test\npidfd:b_test' ]
	[ "$(cat arguments)" = "-c 'row01*' pidfd:a_test pidfd:b_test" ]
	diff - <(grep ^a_test cases) <<-'END'
		a_test:global.row01_one
		a_test:a_fixture_with_a_long_name.plain.row01_of_each
		a_test:a_fixture_with_a_long_name.a_variant_with_a_name_that_is_long.row01_of_each
	END
	choose TESTS='row12* b_test *.plain.*3*'
	[ "$(cat arguments)" = "-c 'row12*' -c '*.plain.*3*' pidfd:b_test" ]
	[ "$(cat cases)" = $'b_test:global.row12_two\nb_test:a_fixture_with_a_long_name.plain.row03_of_each' ]
}

@test "the parts of SPLIT are the whole" {
	local i
	programs
	for i in 1 2 3; do
		choose SPLIT=$i/3
		[ "$(wc -l <"$scratch/out")" = 1 ]
		cat "$scratch/out" >>all
	done
	diff all "build/$BASE/kselftest/kselftest-list.txt"
	choose SPLIT=1/2
	[ "$(cat arguments)" = 'pidfd:a_test pidfd:c_test' ]
	choose SPLIT=2/2 TESTS='row01*'
	[ "$(cat arguments)" = "-c 'row01*' pidfd:b_test" ]
}

@test "a choice of nothing is an error" {
	programs
	refused TESTS=nothing
	refused TESTS='a_test nothing'
	refused TESTS='c_test row01*'
	refused TESTS='row01*;reboot'
	refused TESTS='$(id)'
	refused SPLIT=0/3
	refused SPLIT=4/3
	refused SPLIT=1/4
	refused SPLIT=2/2 TESTS=a_test
	refused SPLIT=half
	refused TARGETS=clone3
}

@test "a chosen case that the guest did not run is a failure" {
	programs
	printf '%s\n' '# selftests: pidfd: b_test' '# 1..1' '# ok 1 global.row12_other' \
		'ok 1 selftests: pidfd: b_test' 'guest-end 0' >"$FAKE_JOB"
	try env TESTS='row12*' scripts/test/kselftest
	[ "$status" != 0 ]
	grep -q '^  b_test:global.row12_two$' "$scratch/out"
	[ "$(tail -n 1 "$scratch/out")" = '1 passed, 1 failed, 0 skipped' ]
}

@test "a case that was not chosen is not missing, one that was is" {
	programs
	printf '%s\n' '# selftests: pidfd: b_test' '# 1..1' '# ok 1 global.row12_two' \
		'ok 1 selftests: pidfd: b_test' 'guest-end 0' >"$FAKE_JOB"
	try env TESTS='row12*' scripts/test/kselftest
	[ "$status" = 0 ]
	[ "$(tail -n 1 "$scratch/out")" = '1 passed, 0 failed, 0 skipped' ]
	[ ! -e "build/$BASE/results/kselftest-patched.md" ]
	grep -q "job=\"kselftest -c 'row12\*' pidfd:b_test\"$" "$FAKE_APPEND"
	try env TESTS='row01*' scripts/test/kselftest
	[ "$status" != 0 ]
	[ "$(tail -n 1 "$scratch/out")" = '1 passed, 1 failed, 0 skipped' ]
}

@test "of the unpatched kernel only what was chosen has to fail" {
	programs
	stock_expected b_test:global.row12_two - b_test:a_fixture_with_a_long_name.plain.row01_of_each -
	echo pidfd:b_test >"build/$BASE/kselftest/kselftest-list.txt"
	printf '%s\n' '# selftests: pidfd: b_test' '# 1..1' '# not ok 1 global.row12_two' \
		'not ok 1 selftests: pidfd: b_test # exit=1' 'guest-end 0' >"$FAKE_JOB"
	try env KERNEL=stock TESTS='row12*' scripts/test/kselftest
	[ "$status" = 0 ]
	try env KERNEL=stock scripts/test/kselftest
	[ "$status" != 0 ]
}

@test "with the fixes only what no fix is for has to fail" {
	programs
	echo pidfd:b_test >"build/$BASE/kselftest/kselftest-list.txt"
	printf '%s\n' '# selftests: pidfd: b_test' '# 1..1' '# not ok 1 global.row12_two' \
		'not ok 1 selftests: pidfd: b_test # exit=1' 'guest-end 0' >"$FAKE_JOB"
	export TESTS='row12*'
	stock_expected b_test:global.row12_two 01-fix-idr
	works env KERNEL=stock scripts/test/kselftest
	try env KERNEL=fixes scripts/test/kselftest
	fails_with 'fails, not listed:  b_test:global.row12_two$'
	stock_expected b_test:global.row12_two -
	works env KERNEL=fixes scripts/test/kselftest
	works env KERNEL=stock scripts/test/kselftest
}

@test "a part has results of its own" {
	programs
	printf '%s\n' '# selftests: pidfd: b_test' '# 1..1' '# ok 1 one' 'ok 1 selftests: pidfd: b_test' \
		'guest-end 0' >"$FAKE_JOB"
	try env SPLIT=2/3 scripts/test/kselftest
	[ "$status" = 0 ]
	[ -e "build/$BASE/results/kselftest-patched-2of3.xml" ]
}

@test "TESTS is not for make criu" {
	try env GUEST=criu TESTS=x scripts/test/kselftest
	fails_with '^error: TESTS and SPLIT are for make kselftest'
}

@test "a job that the kernel would cut off is an error" {
	guest <<<'guest-end 0'
	try scripts/vm/boot "echo $(head -c 2000 /dev/zero | tr '\0' x)"
	fails_with '^error: the job is too long'
}
