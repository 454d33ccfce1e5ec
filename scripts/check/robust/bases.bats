#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Which base it is: what the user says, KDIR's own, what was chosen, or else the newest that
# can be had. In these tests the overlay is written for 9.9, and the small tree's is older.
# shellcheck disable=SC2030,SC2031,SC2153,SC2154 # each test has a shell of its own, and setup's variables

load environment

# bases: neither BASE nor a choice; older is the small tree's
bases() {
	older=$BASE
	newer
	unset BASE
}

# chosen BASE LINE: that base was made and is kept; all that was said is that line
chosen() {
	[ "$status" = 0 ]
	[ "$(cat build/base-choice)" = "$1" ]
	diff -r "$small" "build/$1/base"
	[ -d "build/$1/linux/.git" ]
	diff <(printf '%s\n' "$2") "$scratch/out"
}

@test "the newest base that can be had is chosen, and kept without a network" {
	bases
	package "$older"
	package 9.9
	try scripts/tree/fetch-base
	chosen 9.9 'base: Linux 9.9, the newest that the overlay is for'
	fake apt-get <<<'exit 1'
	works scripts/tree/fetch-base
	[ ! -s "$scratch/out" ]
	[ ! -e "build/$older" ]
}

@test "a base that only another suite of Debian has can be had" {
	bases
	package 9.9
	touch "$scratch/debs/linux-source-9.9.suites"
	try scripts/tree/fetch-base
	chosen 9.9 'base: Linux 9.9, the newest that the overlay is for'
}

@test "if the newest base cannot be had it is the next one, until make clean" {
	bases
	package "$older"
	try scripts/tree/fetch-base
	chosen "$older" "base: Linux $older, because 9.9 cannot be had: build/9.9/log/fetch.log"
	[ ! -e build/9.9/base ]
	package 9.9
	works scripts/tree/fetch-base
	[ ! -s "$scratch/out" ]
	[ ! -e build/9.9/base ]
	works make clean
	try scripts/tree/fetch-base
	chosen 9.9 'base: Linux 9.9, the newest that the overlay is for'
}

@test "no base can be had: an error, and no choice" {
	bases
	fake apt-get <<<'exit 1'
	fake sudo <<<'exit 1'
	try scripts/tree/fetch-base
	fails_with "^error: fetching linux-source-$older failed: is there a network"
	[ ! -e build/base-choice ]
}

@test "a package of the newest base that is broken is no reason for an older one" {
	bases
	package "$older"
	package 9.9
	truncate -s -100 "$scratch/debs/linux-source-9.9.deb"
	try scripts/tree/fetch-base
	fails_with '^error: unpacking linux-source-9.9 failed'
	[ ! -e build/base-choice ]
	[ ! -e "build/$older/base" ]
}

@test "BASE= comes before the choice, and does not change it" {
	bases
	package "$older"
	package 9.9
	works env BASE="$older" scripts/tree/fetch-base
	[ ! -s "$scratch/out" ]
	[ ! -e build/base-choice ]
	works scripts/tree/fetch-base
	works env BASE="$older" scripts/tree/apply
	grep -q pid_alloc "build/$older/linux/kernel/Makefile"
	[ "$(cat build/base-choice)" = 9.9 ]
	[ ! -e build/9.9/linux/kernel/pid_alloc.c ]
	works scripts/tree/apply
	[ -e build/9.9/linux/kernel/pid_alloc.c ]
}

@test "BASE= that is no base, or that the overlay does not fit yet, is an error" {
	bases
	try env BASE=1.1 scripts/tree/fetch-base
	fails_with "^error: BASE=1.1 is none of the bases: 9.9 .*$older"
	sed -i "s/^OVERLAY_BASE=.*/OVERLAY_BASE=$older/" scripts/lib/bases
	try env BASE=9.9 scripts/tree/fetch-base
	fails_with '^error: BASE=9.9: the overlay does not fit 9.9 yet'
	package "$older"
	package 9.9
	try scripts/tree/fetch-base
	chosen "$older" "base: Linux $older, the newest that the overlay is for"
	echo 9.9 >build/base-choice
	try scripts/tree/apply
	fails_with '^error: build/base-choice names 9.9'
}

@test "what needs no base fetches none" {
	bases
	fake apt-get <<<"touch '$scratch/fetched'"
	works make help
	works env CHECKS=spdx scripts/check/run
	try scripts/tree/refresh
	fails_with 'build/9.9/linux is no git repository'
	try scripts/test/publish
	fails_with 'has no result'
	[ ! -e "$scratch/fetched" ]
	[ ! -e build/base-choice ]
}

@test "KDIR says its version: each has its own tree" {
	bases
	export KDIR=$small
	works scripts/tree/fetch-base
	[ ! -s "$scratch/out" ]
	diff -r "$small" "build/kdir/$older/base"
	sed -i 's/^VERSION = .*/VERSION = 9/; s/^PATCHLEVEL = .*/PATCHLEVEL = 9/' "$small/Makefile"
	works scripts/tree/fetch-base
	[ ! -s "$scratch/out" ]
	diff -r "$small" build/kdir/9.9/base
	[ "$(git -C build/kdir/9.9/linux log -1 --format=%s base)" = 'Linux 9.9' ]
	[ ! -e build/base-choice ]
}

@test "KDIR of an unknown version is tried as the newest, and the first hunk that fails is named" {
	bases
	sed -i 's/^VERSION = .*/VERSION = 9/; s/^PATCHLEVEL = .*/PATCHLEVEL = 10/; s/^EXTRAVERSION =.*/EXTRAVERSION = -rc1/' "$small/Makefile"
	export KDIR=$small
	works scripts/tree/fetch-base
	grep -qx "KDIR=$small is Linux 9.10: the overlay for 9.9 is tried" "$scratch/out"
	works scripts/tree/apply
	rm -rf build
	sed -i 's/alloc_pid/xlloc_pid/' "$small/kernel/pid.c"
	works scripts/tree/fetch-base
	try scripts/tree/apply
	fails_with '^error: kernel/pid.c.patch: hunk #[0-9]* (line [0-9]*) does not fit kernel/pid.c of Linux 9.10'
}
