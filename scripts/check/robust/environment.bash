# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # its variables are used by the tests
#
# What each test starts with: a clone of the scripts with a small made-up overlay, without
# build/, beside a small Linux tree, which it is for. Neither is that of the repository: the
# tests show the same whichever base that has. apt, df and QEMU are replaced by short scripts.

ROOT=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)

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

	cp -r "$ROOT/Makefile" "$ROOT/scripts" "$clone"
	cd "$clone" || return
	offer 8.8
	base
	overlay

	# In the clone everything has its default, but for the base, which is the small tree's.
	export BASE=8.8
	unset PRISTINE BUILD KDIR KERNEL VARIANT GUEST DEBUG TARGETS TESTS SPLIT CHECKS TIMEOUT MEM RUNS MINUTES CMD PID_MAX
	unset LOCKED NAME ACCEL
	export JOBS=1
}

# offer VERSION...: these are the bases, the newest first, which the overlay is written for.
# Other suites of Debian have them, too, but for the oldest.
offer() {
	sed -i -e '/^[0-9]/d' -e "s/^OVERLAY_BASE=.*/OVERLAY_BASE=$1/" scripts/lib/bases
	while [ $# != 0 ]; do
		sed -i -e "/^BASES=/,/^'$/{" -e "/^'$/i $1 linux-source-$1 ${2:+sid}" -e '}' scripts/lib/bases
		shift
	done
}

# text DIR PATH: make DIR/PATH, and its lines
text() {
	mkdir -p "$1/$(dirname "$2")"
	{
		printf '%s\n' '// SPDX-License-Identifier: GPL-2.0'
		printf "/* line %d of $2 */\n" {2..50}
	} >"$1/$2"
}

# base: the small Linux: files that the overlay changes, and some that it does not
base() {
	local path
	printf '%s\n' 'VERSION = 8' 'PATCHLEVEL = 8' 'SUBLEVEL = 1' 'EXTRAVERSION =' >"$small/Makefile"
	# The last line is one of Debian's.
	printf '%s\n' '.*' '*.o' '!.gitignore' '/*' >"$small/.gitignore"
	for path in kernel/{Makefile,exit.c,fork.c,pid.c,sys.c} lib/{idr,radix-tree}.c \
		tools/testing/selftests/pidfd/Makefile; do
		text "$small" "$path"
	done
	sed -i '30s/.*/void free_pid(void);/; 31s/.*/void alloc_pid(void);/' "$small/kernel/pid.c"
}

# change OLD SCRIPT NEW PATH: NEW is OLD as that script for sed makes it; print the patch, in
# the words of make refresh
change() {
	sed "$2" "$1" >"$3"
	diff -up --label "a/$4" --label "b/$4" "$1" "$3" || [ $? = 1 ]
}

# mail NAME SUBJECT FILE...: a message of the series
mail() { printf '%s\n' "$2" '' "The text of $1." '' 'Files:' "${@:3}" >"series/$1.msg"; }

# overlay: the made-up one: whole files, one of them a program, changes to the base's, and a
# series, in which two files are changed by two mails each
overlay() {
	local path step=$scratch/step
	for path in kernel/{pid_alloc,set_tid,set_tid_trace}.c kernel/configs/set_tid_{criu,kasan,kcsan}.config \
		arch/x86/configs/set_tid_qemu.config tools/testing/pid/{Makefile,run} \
		tools/testing/selftests/pidfd/set_tid_test.cpp; do
		text . "$path"
	done
	chmod +x tools/testing/pid/run

	mkdir lib series "$step"
	for path in kernel/{exit,fork}.c lib/idr.c tools/testing/selftests/pidfd/Makefile; do
		change "$small/$path" '25a /* set_tid */' "$step/new" "$path" >"$path.patch"
	done
	change "$small/kernel/pid.c" '31d; 10a /* set_tid */' "$step/new" kernel/pid.c >kernel/pid.c.patch

	change "$small/lib/radix-tree.c" '20a /* first */' "$step/radix-tree.c" lib/radix-tree.c >series/01-fix-idr.patch
	change "$small/lib/radix-tree.c" '20a /* first */
		40a /* second */' "$step/new" lib/radix-tree.c >lib/radix-tree.c.patch
	change "$small/kernel/Makefile" '20a obj-y += pid_alloc.o' "$step/new" kernel/Makefile >series/03-pid-alloc.patch
	change "$small/kernel/Makefile" '20a obj-y += pid_alloc.o
		40a obj-y += set_tid_trace.o' "$step/new" kernel/Makefile >kernel/Makefile.patch
	rm -r "$step"

	printf '%s\n' 'A made-up series' '' 'Its cover.' >series/00-cover.msg
	mail 01-fix-idr 'idr: the first' lib/idr.c.patch
	mail 02-radix-tree 'radix tree: the second' lib/radix-tree.c.patch
	mail 03-pid-alloc 'pid: the third' kernel/{pid_alloc.c,set_tid.c,exit.c.patch,fork.c.patch,pid.c.patch}
	mail 04-trace 'trace: the fourth' kernel/{set_tid_trace.c,Makefile.patch}
	mail 05-config 'kernel/configs: the fifth' kernel/configs/ arch/x86/configs/set_tid_qemu.config
	mail 06-selftests 'selftests: the sixth' tools/testing/selftests/pidfd/
	mail 07-native 'tools/testing: the seventh' tools/testing/pid/
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
newer() { offer 9.9 "$BASE"; }

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

# stock_expected PROGRAM:CASE FIX ...: where the unpatched kernel fails, and the mail that
# helps, or "-"
stock_expected() {
	mkdir -p scripts/test/stock-expected
	printf '%s\t%s\t# why\n' "$@" >"scripts/test/stock-expected/$BASE"
}
