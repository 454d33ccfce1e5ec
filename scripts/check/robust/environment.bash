# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # its variables are used by the tests
#
# What each test starts with: a small clone of the repository, without build/, beside a
# small Linux tree. apt, df and QEMU are replaced by short scripts.
#
# Input: PRISTINE, a whole Linux tree to take a few files from (default: build/$BASE/base).

ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
PRISTINE=${PRISTINE:-$(bash -c '. "$1" && say "$PRISTINE"' - "$ROOT/scripts/lib/common.sh")}
. "$ROOT/scripts/lib/bases"

setup_file() {
	local fd
	# What the tests interrupt lives on for a while: not with the lock of the make that
	# runs them.
	for fd in "/proc/$$/fd"/*; do
		[ ! "$fd" -ef "$ROOT/build/.lock" ] || eval "exec ${fd##*/}>&-"
	done
}

setup() {
	scratch=$BATS_TEST_TMPDIR
	clone=$scratch/clone
	fake=$scratch/fake
	small=$scratch/linux
	mkdir "$clone" "$fake" "$small"

	# The overlay, the files that it changes, and where a kernel says its version.
	"$ROOT/scripts/tree/overlay" files >"$scratch/files"
	(cd "$ROOT" && xargs cp -r --parents -t "$clone" Makefile scripts <"$scratch/files")
	(cd "$PRISTINE" && sed -n 's/\.patch$//p' "$scratch/files" |
		grep -v -e ^series/ -e ^backports/ | xargs cp --parents -t "$small" Makefile .gitignore)

	# In the clone everything has its default, but for the base, which is the small tree's.
	cd "$clone" || return
	BASE=$(makefile_version PATCHLEVEL <"$small/Makefile")
	export BASE
	unset PRISTINE BUILD KDIR KERNEL VARIANT DEBUG TARGETS TESTS SPLIT CHECKS TIMEOUT MEM RUNS MINUTES CMD PID_MAX
	unset LOCKED NAME ACCEL
	export JOBS=1
}

# fake NAME: a program that comes before the one of that name; its script is stdin.
fake() {
	# Some of them outlive their test: bats would wait for whoever has its descriptor 3.
	{ printf '%s\n' '#!/bin/bash' 'exec 3>&-'; cat; } >"$fake/$1"
	chmod +x "$fake/$1"
}

# try COMMAND...: its output goes to the file out, its status to $status. (The run of
# bats keeps the output in a variable, which has no room for a NUL.)
try() {
	status=0
	PATH=$fake:$PATH "$@" >"$scratch/out" 2>&1 </dev/null || status=$?
	cut -c -200 "$scratch/out"
}

# fails_with TEXT: the last command failed, and said so.
fails_with() {
	[ "$status" != 0 ] || { echo "status 0"; return 1; }
	grep -q -- "$1" "$scratch/out" || { echo "said nothing of: $1"; return 1; }
}

# tree: a base and a tree from the small kernel, as make tree KDIR= has them.
tree() {
	export KDIR=$small
	try scripts/tree/fetch-base
	[ "$status" = 0 ]
}

# package [VERSION]: a package with the small kernel in it, and apt-get to fetch those that
# are there. With a file linux-source-VERSION.suites beside it, only other suites have it.
package() {
	local name=linux-source-${1:-$BASE} deb=$scratch/debs
	rm -rf "$scratch/deb"
	mkdir -p "$scratch/deb/usr/src" "$scratch/deb/DEBIAN" "$deb"
	printf '%s\n' "Package: $name" 'Version: 1' 'Architecture: all' 'Maintainer: nobody' 'Description: none' >"$scratch/deb/DEBIAN/control"
	tar -cJf "$scratch/deb/usr/src/$name.tar.xz" -C "$scratch" linux
	dpkg-deb -b "$scratch/deb" "$deb/$name.deb" >/dev/null
	fake apt-get <<-FAKE
		case \$* in
		indextargets*) echo http://archive ;;
		download*) [ ! -e "$deb/\${!#}.suites" ] && cp "$deb/\${!#}.deb" . ;;
		*download*) cp "$deb/\${!#}.deb" . ;;
		esac
	FAKE
}

# newer: from here on the overlay is written for 9.9, and the small tree is an older base
newer() {
	sed -i -e '/^[0-9]/d; s/^OVERLAY_BASE=.*/OVERLAY_BASE=9.9/' \
		-e "/^BASES='/a 9.9 linux-source-9.9 sid\n$BASE linux-source-$BASE" scripts/lib/bases
}

# works COMMAND...: it does not fail
works() {
	try "$@"
	[ "$status" = 0 ]
}

# guest: a guest with one program of three cases, whose run prints stdin. QEMU is a script:
# the job's output and the console come from files, the kernel's command line goes to one.
guest() {
	export FAKE_CONSOLE=$scratch/console FAKE_JOB=$scratch/job FAKE_APPEND=$scratch/append
	export FAKE_END='' ACCEL=tcg TARGETS=pidfd
	fake qemu-system-x86_64 <<-'FAKE'
		for a; do
			case $a in
			file:*) console=${a#file:} ;;
			*job=*) printf '%s' "$a" >"$FAKE_APPEND" ;;
			esac
		done
		cat "$FAKE_CONSOLE" >"$console"
		cat "$FAKE_JOB"
		case ${FAKE_END:-} in
		killed) kill -9 $$ ;;
		hangs) exec sleep 60 ;;
		esac
	FAKE
	: >"$FAKE_CONSOLE"
	cat >"$FAKE_JOB"
	mkdir -p "build/$BASE/kselftest"
	echo pidfd:a_test >"build/$BASE/kselftest/kselftest-list.txt"
}
