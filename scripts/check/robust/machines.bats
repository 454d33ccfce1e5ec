#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What a run leaves for machines: valid files, whatever a test prints and whatever ends the
# run, and never a pass of what failed.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment
# A whole Linux, for its parser of KTAP. setup unsets PRISTINE.
linux=${PRISTINE:-$(bash -c '. "$1" && say "$PRISTINE"' - "$ROOT/scripts/lib/common.sh")}

good='# selftests: pidfd: a_test
# TAP version 13
# 1..3
# ok 1 one
# ok 2 two
# ok 3 three
ok 1 selftests: pidfd: a_test'

# valid NAME: the three files of that run are valid, and say the same
valid() { "$ROOT/scripts/check/validate-results" "$linux" "build/$BASE/results/$1"; }

# field NAME KEY...: of a run's JSON
field() {
	python3 -c '
import json, os, sys
base = os.environ["BASE"]
value = json.load(open(f"build/{base}/results/{sys.argv[1]}.json"))
for key in sys.argv[2:]:
    value = value[int(key) if isinstance(value, list) else key]
print(value)' "$@"
}

# cases NAME: results and names of all cases, one a line
cases() {
	python3 -c '
import json, os, sys
base = os.environ["BASE"]
for program in json.load(open(f"build/{base}/results/{sys.argv[1]}.json"))["programs"]:
    for case in program["cases"]:
        print(case["result"], case["name"])' "$1"
}

# ended EXPECTED: a run of the selftests fails, and its files say how it ended
ended() {
	try scripts/test/kselftest
	[ "$status" != 0 ]
	valid kselftest-patched
	[ "$(field kselftest-patched end)" = "$1" ]
	[ "$(field kselftest-patched result)" = fail ]
	grep -q '<error message=' "build/$BASE/results/kselftest-patched.xml"
	grep -q '^not ok [0-9]* run$' "build/$BASE/results/kselftest-patched.ktap"
}

@test "a run leaves KTAP, JUnit and JSON, with where they come from" {
	guest <<<"$good"$'\nguest-end 0'
	echo '[    0.000000] Linux version 6.12.99 (somebody) #1' >"$FAKE_CONSOLE"
	try scripts/test/kselftest
	[ "$status" = 0 ]
	valid kselftest-patched
	[ "$(cases kselftest-patched)" = $'pass one\npass two\npass three' ]
	[ "$(field kselftest-patched kernel)" = 6.12.99 ]
	[ "$(field kselftest-patched architecture)" = "$(uname -m)" ]
	[ "$(field kselftest-patched command)" = "make kselftest BASE=$BASE TARGETS=pidfd ACCEL=tcg" ]
	[ "$(field kselftest-patched end)" = complete ]
	[ "$(field kselftest-patched counts passed)" = 3 ]
	diff - <(grep -v '^#   ' "build/$BASE/results/kselftest-patched.ktap") <<-'END'
		KTAP version 1
		1..1
		  KTAP version 1
		  1..3
		  ok 1 one
		  ok 2 two
		  ok 3 three
		ok 1 pidfd:a_test
	END
}

@test "whatever a test prints, its results are valid" {
	guest < <(
		printf '%s\n' '# selftests: pidfd: a_test' '# TAP version 13' '# 1..4' \
			$'# # \e[31m ]]> <&"\' \xff\xfe \xc3\x28 \xef\xbf\xbf \xed\xa0\x80 \x01\t\xe2\x80\xa8' \
			'# # Subtest: x' '# # 1..4' '# # KTAP version 1' '# # ok 2 inner' \
			$'# not ok 1 a#b\t<c> ]]>' '# not ok 2 x # SKIP is not what it is' \
			'# ok 3 skipped # SKIP why & <that>' $'# ok 4 d\xff\xc2\x85x # note # SKIP' \
			'not ok 1 selftests: pidfd: a_test # exit=1' '<&> of no program' 'guest-end 0'
	)
	try scripts/test/kselftest
	[ "$status" != 0 ]
	valid kselftest-patched
	[ "$(cases kselftest-patched | cut -d' ' -f1 | tr '\n' ' ')" = 'fail fail skip pass ' ]
	grep -qx '  not ok 1 a_b <c> \]\]>' "build/$BASE/results/kselftest-patched.ktap"
	grep -qx '  ok 3 skipped # SKIP why & <that>' "build/$BASE/results/kselftest-patched.ktap"
	[ "$(field kselftest-patched programs 0 cases 0 output 1)" = 'Subtest: x' ]
	[ "$(cat build/"$BASE"/results/kselftest-patched.{ktap,xml,json} | tr -dc '\000-\010\013-\037\177' | wc -c)" = 0 ]
}

@test "garbage instead of results is valid, and no pass" {
	guest < <(
		head -n 4 <<<"$good"
		head -c 100000 /dev/urandom
		printf '%s\n' '' 'ok 1 selftests: pidfd: a_test' 'guest-end 0'
	)
	try scripts/test/kselftest
	[ "$status" != 0 ]
	valid kselftest-patched
	[ "$(field kselftest-patched result)" = fail ]
}

@test "a guest that is lost shows in the results" {
	guest < <(head -n 4 <<<"$good")
	export FAKE_END=killed
	ended 'guest lost'
	[ "$(cases kselftest-patched)" = $'pass one\nfail did-not-report\nfail did-not-report\nerror end' ]
}

@test "a guest that has printed nothing shows in the results" {
	guest </dev/null
	ended 'guest lost'
	[ "$(cases kselftest-patched)" = $'fail did-not-run\nerror end' ]
}

@test "a time limit shows in the results" {
	guest < <(head -n 4 <<<"$good")
	export FAKE_END=hangs TIMEOUT=1
	ended 'time limit'
}

@test "a warning of the kernel after the last test shows in the results" {
	guest <<<"$good"$'\nguest-end 0'
	echo '[    9.1] WARNING: CPU: 0 PID: 1 at kernel/pid.c:1' >"$FAKE_CONSOLE"
	ended 'the kernel complained'
	field kselftest-patched guest error | grep 'WARNING: CPU: 0'
}

@test "leaks after the last test show in the results" {
	guest <<<"$good"$'\nkmemleak: 2 leaks\nguest-end 1'
	ended "the guest's job failed"
	grep 'kmemleak: 2 leaks' "build/$BASE/results/kselftest-patched.xml"
}

@test "a run that is interrupted leaves what it has until then" {
	local pid
	guest < <(head -n 4 <<<"$good")
	export FAKE_END=hangs
	for signal in INT TERM; do
		rm -rf "build/$BASE/results" "build/$BASE/log"
		# A background job of a shell would ignore SIGINT.
		PATH=$fake:$PATH python3 -c 'import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
os.execv("scripts/test/kselftest", ["kselftest"])' >"$scratch/out" 2>&1 </dev/null &
		pid=$!
		for _ in {1..100}; do
			! grep -qs one "build/$BASE/log/kselftest-patched.record" || break
			sleep 0.1
		done
		kill -"$signal" -- "-$pid"
		if wait "$pid"; then return 1; fi
		valid kselftest-patched
		[ "$(field kselftest-patched end)" = interrupted ]
		cases kselftest-patched | grep -x 'pass one'
	done
}

@test "results of a run before do not stay" {
	guest <<<"$good"$'\nguest-end 0'
	try scripts/test/kselftest
	[ -e "build/$BASE/results/kselftest-patched.xml" ]
	fake python3 <<<'exit 1'
	try scripts/test/kselftest
	fails_with "^error: the results for machines could not be written: build/$BASE/results/kselftest-patched"
	[ ! -e "build/$BASE/results/kselftest-patched.xml" ]
}

@test "an expected failure of the unpatched kernel is one in the results" {
	local output=('# selftests: pidfd: a_test' '# 1..3' '# ok 1 one' '# not ok 2 global.two'
		'# not ok 3 global.three' 'not ok 1 selftests: pidfd: a_test # exit=1' 'guest-end 0')
	export KERNEL=stock
	guest < <(printf '%s\n' "${output[@]}")
	stock_expected a_test:global.two - a_test:global.three -
	try scripts/test/kselftest
	[ "$status" = 0 ]
	valid kselftest-stock
	[ "$(field kselftest-stock expected_failures)" = 2 ]
	[ "$(grep -c '# XFAIL' "build/$BASE/results/kselftest-stock.ktap")" = 2 ]
	[ "$(grep -c '<skipped message="expected failure"' "build/$BASE/results/kselftest-stock.xml")" = 2 ]

	# One of them passes; then it does not run.
	printf '%s\n' "${output[@]/not ok 3/ok 3}" >"$FAKE_JOB"
	try scripts/test/kselftest
	[ "$status" != 0 ]
	valid kselftest-stock
	cases kselftest-stock | grep -x 'xpass global.three'
	printf '%s\n' "${output[@]}" | sed '/not ok 3/d; s/1\.\.3/1..2/' >"$FAKE_JOB"
	try scripts/test/kselftest
	[ "$status" != 0 ]
	valid kselftest-stock
	cases kselftest-stock | grep -x 'fail global.three'
}

@test "the checks leave results, too" {
	sed -i '/^check_spdx()/a echo "no <licence>"; return 1' scripts/check/run
	sed -i '/^check_gitignore()/a echo "why & not"; return 77' scripts/check/run
	try env CHECKS='spdx gitignore' scripts/check/run
	[ "$status" = 1 ]
	valid check
	[ "$(cases check)" = $'skip gitignore\nfail spdx' ]
	[ "$(field check command)" = "make check BASE=$BASE CHECKS='spdx gitignore'" ]
	[ "$(field check programs 0 cases 1 output 0)" = 'no <licence>' ]
}
