#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# A guest that misbehaves: an error, never a pass.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment

good='# selftests: pidfd: a_test
# TAP version 13
# 1..3
# ok 1 one
# ok 2 two
# ok 3 three
ok 1 selftests: pidfd: a_test'

# not_a_pass: kselftest failed, and counted that.
not_a_pass() {
	try scripts/test/kselftest
	[ "$status" != 0 ] || { echo "status 0"; return 1; }
	tail -n 1 "$scratch/out" | grep -q '^[0-9]* passed, [1-9][0-9]* failed, ' ||
		{ echo "the last line counts no failure"; return 1; }
}

@test "a guest whose tests all pass is a pass" {
	guest <<<"$good"$'\nguest-end 0'
	try scripts/test/kselftest
	[ "$status" = 0 ]
	[ "$(tail -n 1 "$scratch/out")" = '3 passed, 0 failed, 0 skipped' ]
}

@test "a guest that is killed in the middle is lost" {
	guest < <(head -n 4 <<<"$good")
	export FAKE_END=killed
	try scripts/vm/boot 'kselftest pidfd'
	[ "$status" = 126 ]
	fails_with 'guest lost'
	not_a_pass
	grep -q '1 passed, 2 failed' "$scratch/out"
}

@test "a guest that is killed after its last test is no pass" {
	guest <<<"$good"
	export FAKE_END=killed
	not_a_pass
}

@test "a guest that hangs runs into the time limit" {
	guest < <(head -n 4 <<<"$good")
	export FAKE_END=hangs TIMEOUT=1
	try scripts/vm/boot 'kselftest pidfd'
	[ "$status" = 124 ]
	fails_with 'time limit'
	not_a_pass
}

@test "a warning of the kernel after the last test is no pass" {
	guest <<<"$good"$'\nguest-end 0'
	echo '[    9.1] WARNING: CPU: 0 PID: 1 at kernel/pid.c:1' >"$FAKE_CONSOLE"
	try scripts/vm/boot 'kselftest pidfd'
	[ "$status" = 125 ]
	not_a_pass
}

@test "a test cannot print the end of the guest" {
	guest < <(head -n 4 <<<"$good" | sed '3a guest-end 0')
	try scripts/vm/boot 'kselftest pidfd'
	[ "$status" = 126 ]
	not_a_pass
	guest <<<'guest-end 0'
	export FAKE_END=killed
	try scripts/vm/boot true
	[ "$status" = 126 ]
}

# From make's command line to the guest's shell a job stays as it was typed.
@test "a job with quotes reaches the shell of the guest as it was typed" {
	local job='sh -c "echo $$ \"\\$(id)\""'
	try make -s CMD="$job" --eval='typed: ; @printf "%s\n" "$$CMD"' typed
	[ "$(cat "$scratch/out")" = "$job" ]
	guest <<<'guest-end 0'
	try scripts/vm/boot "$job"
	[ "$status" = 0 ]
	[ "$(printf %b "$(sed 's/.* job="\(.*\)"$/\1/' "$FAKE_APPEND")")" = "$job" ]
	if sed 's/.* job="\(.*\)"$/\1/' "$FAKE_APPEND" | grep '"'; then return 1; fi
}

@test "garbage instead of results is no pass" {
	guest < <(
		head -n 4 <<<"$good"
		head -c 100000 /dev/urandom
		printf '%s\n' '' 'ok 1 selftests: pidfd: a_test' 'guest-end 0'
	)
	not_a_pass
}

@test "partial and very long lines are no pass" {
	local long
	long=$(head -c 300000 /dev/zero | tr '\0' x)
	guest < <(
		printf '%s\r\n' '# selftests: pidfd: a_test' '# 1..3' "# ok 1 $long" '# ok 2 two# not o' \
			'ok 1 selftests: pidfd: a_test'
		echo 'guest-end 0'
	)
	not_a_pass
}

@test "more results than planned are no pass" {
	guest < <(sed '3a # ok 1 one' <<<"$good"$'\nguest-end 0')
	not_a_pass
}

@test "results without a plan are no pass" {
	guest < <(sed 3d <<<"$good"$'\nguest-end 0')
	not_a_pass
}

@test "a test that is expected to fail may not hang instead" {
	echo pidfd:a_test >"$scratch/list"
	echo a_test:one >"$scratch/expected"
	printf '%s\n' '# selftests: pidfd: a_test' '# 1..1' '# #  RUN           one ...' \
		'not ok 1 selftests: pidfd: a_test # TIMEOUT 300 seconds' |
		scripts/test/results "$scratch"/{list,expected,failed,counts} >"$scratch/out" || true
	[ "$(cat "$scratch/failed")" = a_test:did-not-report ]
	grep 'one was running' "$scratch/out"
}

@test "what the patched kernel has to have may be missing in others only" {
	local kernel

	echo pidfd:a_test >"$scratch/list"
	: >"$scratch/expected"
	for kernel in patched stock; do
		printf '%s\n' '# selftests: pidfd: a_test' '# 1..2' '# ok 1 one # SKIP needs a kernel with kernel.pid_min' \
			'# ok 2 two # SKIP needs CLONE_AUTOREAP (Linux 7.1)' 'ok 1 selftests: pidfd: a_test # SKIP' |
			KERNEL=$kernel scripts/test/results "$scratch"/{list,expected,failed,counts} >"$scratch/out" || true
		cat "$scratch/counts"
	done >"$scratch/both"
	[ "$(cat "$scratch/both")" = $'0 passed, 1 failed, 1 skipped\n0 passed, 0 failed, 2 skipped' ]
}

@test "the end of another program is no pass" {
	guest <<<"${good%a_test}b_test"$'\nguest-end 0'
	not_a_pass
}

@test "a program that fails without a failed case is no pass" {
	guest <<<"${good/%ok 1 selftests*/not ok 1 selftests: pidfd: a_test # exit=1}"$'\nguest-end 0'
	not_a_pass
}

@test "no output at all is no pass" {
	guest <<<'guest-end 0'
	not_a_pass
	guest </dev/null
	not_a_pass
}

# A report of each debug kernel, in the words of that kernel.
@test "a report of a debug kernel is no pass" {
	local line
	while read -r line; do
		guest <<<"$good"$'\nguest-end 0'
		echo "[    9.1] $line" >"$FAKE_CONSOLE"
		try scripts/vm/boot 'kselftest pidfd'
		[ "$status" = 125 ]
		fails_with "$line"
		not_a_pass
	done <<-'LINES'
		BUG: KASAN: slab-use-after-free in free_pid+0x10/0x100
		UBSAN: array-index-out-of-bounds in kernel/pid_alloc.c:100:10
		WARNING: possible circular locking dependency detected
		BUG: sleeping function called from invalid context at kernel/pid_alloc.c:100
		ODEBUG: Out of memory. ODEBUG disabled
		BUG: KCSAN: data-race in alloc_pid / free_pid
		kmemleak: Kernel memory leak detector disabled
	LINES
}

# Only of a race in exactly these functions is it known that the base has it.
@test "only the listed data races are those of the base" {
	local race='the_base / itself'
	printf '%s\t# why\n' 'something / else' "$race" >scripts/test/known-data-races
	export VARIANT=kcsan
	guest <<<"$good"$'\nguest-end 0'
	echo "[    9.1] BUG: KCSAN: data-race in $race" >"$FAKE_CONSOLE"
	try scripts/test/kselftest
	[ "$status" = 0 ]
	echo "[    9.1] BUG: KCSAN: data-race in ${race}_too" >"$FAKE_CONSOLE"
	not_a_pass
}

# With a fix in the kernel, what it cures is news again.
@test "a data race that a fix of the series cures is one of the kernels without it" {
	mkdir -p scripts/test/stock-expected
	printf '# KCSAN: %s\t%s\t# why\n' 'a / b' 05-fix-marks 'c / d' - >"scripts/test/stock-expected/$BASE"
	export VARIANT=kcsan
	guest <<<"$good"$'\nguest-end 0'
	while IFS=, read -r kernel race expected; do
		echo "[    9.1] BUG: KCSAN: data-race in $race" >"$FAKE_CONSOLE"
		KERNEL=$kernel try scripts/vm/boot 'kselftest pidfd'
		[ "$status" = "$expected" ] || { echo "$kernel, $race: $status"; return 1; }
	done < <(printf '%s\n' 'stock,a / b,0' 'stock,c / d,0' 'fixes,a / b,125' 'fixes,c / d,0' \
		'patched,a / b,125' 'patched,c / d,125')
}

@test "a leak that the guest finds after all tests is no pass" {
	guest <<<"$good"$'\nguest-end 1'
	not_a_pass
	fails_with '3 passed, 1 failed'
}
