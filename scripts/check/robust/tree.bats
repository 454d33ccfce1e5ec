#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# The base, the overlay, fetching and unpacking: an error, and nothing is lost.
# shellcheck disable=SC2016 # what is quoted is meant so
# shellcheck disable=SC2030,SC2031,SC2153,SC2154 # each test has a shell of its own, and setup's variables

load environment

@test "KDIR that is no kernel is refused" {
	try env KDIR="$fake" scripts/tree/fetch-base
	fails_with 'is no Linux tree'
	try env KDIR="$scratch/nowhere" scripts/tree/fetch-base
	fails_with 'nowhere'
	[ ! -e "build/kdir/$BASE/base" ]
}

@test "KDIR that was built in place is refused" {
	cp -r "$small" "$scratch/built"
	touch "$scratch/built/.config"
	try env KDIR="$scratch/built" scripts/tree/fetch-base
	fails_with 'make mrproper'
	[ ! -e "build/kdir/$BASE/base" ]
}

@test "an interrupted copy of KDIR is made anew" {
	fake cp <<-'FAKE'
		/bin/cp "$@"
		case $* in *base.tmp*) kill -9 $PPID; sleep 1; exit 1 ;; esac
	FAKE
	try env KDIR="$small" scripts/tree/fetch-base
	[ "$status" != 0 ]
	rm "$fake/cp"
	[ ! -e "build/kdir/$BASE/base" ]
	tree
	cmp "$small/Makefile" "build/kdir/$BASE/base/Makefile"
	tree
}

@test "a tree that was removed is made anew" {
	tree
	try scripts/tree/apply
	rm -rf "build/kdir/$BASE/linux"
	tree
	try scripts/tree/apply
	[ "$status" = 0 ]
	grep -q pid_alloc "build/kdir/$BASE/linux/kernel/Makefile"
}

@test "a hunk that does not fit is named, and nothing is written" {
	tree
	cp -a "build/kdir/$BASE/linux" "$scratch/before"
	sed -i 's/alloc_pid/xlloc_pid/' "build/kdir/$BASE/base/kernel/pid.c"
	try scripts/tree/apply
	fails_with 'kernel/pid.c.patch: hunk .* does not fit'
	diff -r "$scratch/before" "build/kdir/$BASE/linux"
}

@test "a truncated package is no base" {
	package
	truncate -s -100 "$scratch/debs/linux-source-$BASE.deb"
	try scripts/tree/fetch-base
	fails_with "unpacking linux-source-$BASE failed"
	[ ! -e "build/$BASE/base" ]
	package
	try scripts/tree/fetch-base
	[ "$status" = 0 ]
	diff -r "$small" "build/$BASE/base"
	[ ! -e "build/$BASE/base.tmp" ]
}

# interrupted_in COMMAND: scripts/tree/fetch-base is killed while that runs
interrupted_in() {
	package
	fake "$1" <<<"touch '$scratch/reached'; exec sleep 60"
	PATH=$fake:$PATH setsid scripts/tree/fetch-base >/dev/null 2>&1 </dev/null &
	local base=$! _
	for _ in {1..100}; do
		[ ! -e "$scratch/reached" ] || break
		sleep 0.1
	done
	[ -e "$scratch/reached" ]
	kill -9 -- "-$base"
	wait "$base" || true
	[ ! -e "build/$BASE/base" ]
	rm "$fake/$1"
	package
	try scripts/tree/fetch-base
	[ "$status" = 0 ]
	diff -r "$small" "build/$BASE/base"
}

@test "killed while it fetches: no base, and the next call makes one" {
	interrupted_in apt-get
}

@test "killed while it unpacks: no base, and the next call makes one" {
	interrupted_in tar
}


@test "a disk that is too small is named before it is full" {
	package
	fake df <<<'printf "%s\n" head "x 1 1 12 1% /"'
	try scripts/tree/fetch-base
	fails_with 'disk too small: .* has 12 MB'
	[ ! -e "build/$BASE/base" ]
}

# No file may become longer than 2.5 MB: as on a full disk, a write fails, that of
# the image, which has more than that in it.
@test "a failed write leaves no guest root" {
	mkdir -p "build/$BASE/kselftest"
	for f in a b c; do head -c 1000000 /dev/urandom >"build/$BASE/kselftest/$f"; done
	try bash -c 'trap "" XFSZ; ulimit -f 2560; exec scripts/build/initramfs'
	[ "$status" != 0 ]
	[ -e "build/$BASE/initramfs.gz.tmp" ]
	[ ! -e "build/$BASE/initramfs.gz" ]
	try scripts/build/initramfs
	[ "$status" = 0 ]
	gzip -t "build/$BASE/initramfs.gz"
}

@test "a second make in the same clone is refused" {
	mkdir -p build
	flock build/.lock sleep 20 3>&- &
	sleep 0.3
	try timeout 20 make tree
	kill %1
	fails_with 'another make is running'
	[ "$status" != 124 ]
}
