#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What an older base needs otherwise: backports/$BASE, and what make refresh writes there. In
# these tests the overlay is written for 9.9, and the small tree is an older base.
# shellcheck disable=SC2030,SC2031,SC2153,SC2154 # each test has a shell of its own, and setup's variables

load environment

# linux COMMAND...: git in the tree, as its user
linux() { git -C "$linux" -c user.name=me -c user.email=me@localhost "$@"; }

# older: the tree of the older base, with what is in $backports
older() {
	newer
	tree
	linux=build/kdir/$BASE/linux
	backports=backports/$BASE
	mkdir -p "$backports/kernel" "$backports/lib" "$backports/series"
}

# unchanged: the tree is what the overlay gives, and refresh has nothing to write
unchanged() {
	works scripts/tree/refresh
	if grep -E '^refresh: (wrote|removed)' "$scratch/out"; then return 1; fi
	[ -z "$(linux status --short)" ]
	[ "$(linux rev-parse overlay)" = "$(linux rev-parse HEAD)" ]
}

# written FILE...: refresh writes or removes these, and nothing else
written() {
	works scripts/tree/refresh
	printf '%s\n' "$@" | sort | diff - <(sed -n 's/^refresh: [a-z]* //p' "$scratch/out" | sort)
	[ -z "$(linux status --short)" ]
}

@test "a shared patch may have an offset on an older base, but no fuzz" {
	newer
	sed -i '1i /* a line more */' "$small/kernel/fork.c"
	older
	works scripts/tree/apply
	unchanged
	works scripts/tree/overlay results "$scratch/results" strict
	export BASE=9.9
	tree
	works scripts/tree/overlay results "$scratch/results"
	try scripts/tree/overlay results "$scratch/results" strict
	fails_with 'kernel/fork.c.patch: Hunk .*offset 1 line.*; make refresh writes the right line'
	export BASE=${backports#*/}
	# The outermost line of what is around the change.
	sed -i '28s/line/xine/' "build/kdir/$BASE/base/kernel/pid.c"
	try scripts/tree/apply
	fails_with "kernel/pid.c.patch: hunk .* does not fit .*; it needs a backports/$BASE/kernel/pid.c.patch"
}

@test "a file of backports takes the place of the overlay's" {
	older
	echo '/* another */' >"$backports/kernel/set_tid.c"
	{ cat "$small/lib/idr.c"; echo '/* only this */'; } >"$scratch/idr.c"
	diff -u "$small/lib/idr.c" "$scratch/idr.c" >"$backports/lib/idr.c.patch" || true
	echo '/* of the base only */' >"$backports/lib/only_here.c"
	works scripts/tree/apply
	[ "$(cat "$linux/kernel/set_tid.c")" = '/* another */' ]
	cmp "$scratch/idr.c" "$linux/lib/idr.c"
	[ -e "$linux/lib/only_here.c" ]
	# A whole file in place of a patch, too.
	cp "$small/kernel/exit.c" "$backports/kernel/exit.c"
	works scripts/tree/apply
	cmp "$small/kernel/exit.c" "$linux/kernel/exit.c"
	unchanged
	export BASE=9.9
	tree
	works scripts/tree/overlay results "$scratch/results"
	cmp kernel/set_tid.c "$scratch/results/kernel/set_tid.c"
	[ ! -e "$scratch/results/lib/only_here.c" ]
}

@test "a patch of backports changes a whole file of the overlay" {
	older
	sed '1a /* backported */' kernel/set_tid.c >"$scratch/set_tid.c"
	diff -u kernel/set_tid.c "$scratch/set_tid.c" >"$backports/kernel/set_tid.c.patch" || true
	works scripts/tree/apply
	cmp "$scratch/set_tid.c" "$linux/kernel/set_tid.c"
	scripts/tree/overlay list | grep -qx kernel/set_tid.c
	unchanged
	# It is of the overlay: what changes there comes along.
	echo '/* there */' >>kernel/set_tid.c
	works scripts/tree/apply
	grep -q backported "$linux/kernel/set_tid.c"
	[ "$(tail -n 1 "$linux/kernel/set_tid.c")" = '/* there */' ]
	unchanged
	sed -i 's/backported/and edited/' "$linux/kernel/set_tid.c"
	written "$backports/kernel/set_tid.c.patch"
	grep -q '^+/\* and edited \*/' "$backports/kernel/set_tid.c.patch"
	sed -i '2d' "$linux/kernel/set_tid.c"
	written "$backports/kernel/set_tid.c.patch"
	[ ! -e "$backports/kernel/set_tid.c.patch" ]
	unchanged
}

@test "an empty patch leaves the base's file alone, and no file that only the overlay has" {
	older
	touch "$backports/kernel/set_tid_trace.c.patch" "$backports/lib/idr.c.patch"
	works scripts/tree/apply
	[ ! -e "$linux/kernel/set_tid_trace.c" ]
	cmp "$small/lib/idr.c" "$linux/lib/idr.c"
	unchanged
	# An edit makes a patch of it.
	echo '/* here */' >>"$linux/lib/idr.c"
	cp kernel/set_tid_trace.c "$linux/kernel"
	echo '/* here */' >>"$linux/kernel/set_tid_trace.c"
	written "$backports/lib/idr.c.patch" "$backports/kernel/set_tid_trace.c.patch"
	grep -q '^+/\* here \*/' "$backports/kernel/set_tid_trace.c.patch"
	cp "$small/lib/idr.c" "$linux/lib/idr.c"
	rm "$linux/kernel/set_tid_trace.c"
	written "$backports/lib/idr.c.patch" "$backports/kernel/set_tid_trace.c.patch"
	[ -e "$backports/lib/idr.c.patch" ] && [ ! -s "$backports/lib/idr.c.patch" ]
	unchanged
}

@test "a step that an older base has no use for is named, with the cure" {
	older
	touch "$backports/lib/radix-tree.c.patch"
	try scripts/tree/apply
	fails_with "series/01-fix-idr.patch changes lib/radix-tree.c, which no later mail .*; it needs a $backports/series/01-fix-idr.patch"
	touch "$backports/series/01-fix-idr.patch"
	works scripts/tree/apply
	cmp "$small/lib/radix-tree.c" "$linux/lib/radix-tree.c"
	unchanged
	sed -i '/^ /s/^ / x/' series/03-pid-alloc.patch
	try scripts/tree/apply
	fails_with "series/03-pid-alloc.patch does not fit: .*; it needs a $backports/series/03-pid-alloc.patch"
	cp series/03-pid-alloc.patch "$backports/series"
	try scripts/tree/apply
	fails_with "$backports/series/03-pid-alloc.patch does not fit: .*FAILED[^;]*$"
}

@test "a message may name what only another base has" {
	older
	offer 9.9 "$BASE" 7.7
	mkdir -p backports/7.7/lib
	echo '/* of the oldest only */' >backports/7.7/lib/oldest.c
	echo lib/oldest.c >>series/04-trace.msg
	works scripts/tree/apply
	[ ! -e "$linux/lib/oldest.c" ]
	unchanged
	rm "$linux/kernel/set_tid_trace.c"
	written kernel/set_tid_trace.c series/04-trace.msg
	grep -qx lib/oldest.c series/04-trace.msg
	echo lib/nothing.c >>series/04-trace.msg
	try scripts/tree/apply
	fails_with 'series/04-trace.msg names lib/nothing.c, which the overlay does not have'
}

@test "backports with a file and a patch to it is an error" {
	older
	touch "$backports/kernel/set_tid.c" "$backports/kernel/set_tid.c.patch"
	try scripts/tree/apply
	fails_with "^error: $backports has both a file and a patch: kernel/set_tid.c"
}

@test "refresh: whole files without a backport are the overlay's own" {
	older
	works scripts/tree/apply
	unchanged
	echo '/* here */' >>"$linux/kernel/pid_alloc.c"
	echo '/* new */' >"$linux/tools/testing/pid/new_file.c"
	rm "$linux/kernel/set_tid_trace.c"
	written kernel/pid_alloc.c tools/testing/pid/new_file.c kernel/set_tid_trace.c series/04-trace.msg
	[ "$(tail -n 1 kernel/pid_alloc.c)" = '/* here */' ]
	[ -z "$(find backports -type f)" ]
	unchanged
}

@test "refresh: all else goes to backports" {
	older
	echo '/* another */' >"$backports/kernel/set_tid.c"
	works scripts/tree/apply
	cp -r kernel lib "$scratch"
	echo '/* here */' | tee -a "$linux/kernel/set_tid.c" "$linux/lib/idr.c" >>"$linux/kernel/exit.c"
	cp "$small/kernel/fork.c" "$linux/kernel/fork.c"
	written "$backports"/{kernel/set_tid.c,lib/idr.c.patch,kernel/exit.c.patch,kernel/fork.c.patch}
	[ "$(tail -n 1 "$backports/kernel/set_tid.c")" = '/* here */' ]
	[ "$(tail -n 1 "$backports/lib/idr.c.patch")" = '+/* here */' ]
	[ ! -s "$backports/kernel/fork.c.patch" ]
	diff -r kernel "$scratch/kernel"
	diff -r lib "$scratch/lib"
	unchanged
	# What the overlay's own patch gives needs none.
	sed -i '$d' "$linux/lib/idr.c"
	rm "$linux/kernel/set_tid.c"
	written "$backports"/{kernel/set_tid.c,kernel/set_tid.c.patch,lib/idr.c.patch}
	[ ! -e "$backports/lib/idr.c.patch" ]
	[ -e "$backports/kernel/set_tid.c.patch" ]
	unchanged
}

@test "refresh for the newest base leaves backports alone" {
	older
	echo '/* another */' >"$backports/kernel/set_tid.c"
	touch "$backports/lib/idr.c.patch"
	echo 'to do' >series/notes
	export BASE=9.9
	tree
	linux=build/kdir/9.9/linux
	works scripts/tree/apply
	echo '/* here */' >>"$linux/lib/idr.c"
	echo '/* here */' >>"$linux/kernel/set_tid.c"
	written lib/idr.c.patch kernel/set_tid.c
	[ "$(cat "$backports/kernel/set_tid.c")" = '/* another */' ]
	[ -e "$backports/lib/idr.c.patch" ]
	[ -e series/notes ]
	works scripts/tree/refresh "$scratch/all"
	scripts/tree/overlay files | diff - <(cd "$scratch/all" && find . -type f -printf '%P\n' | sort)
}

@test "backports adds, replaces and drops mails" {
	older
	{ echo 'Another subject'; sed 1d series/01-fix-idr.msg; } >"$backports/series/01-fix-idr.msg"
	printf '%s\n' 'An added mail' '' 'Its text.' '' 'Files:' lib/only_here.c >"$backports/series/02-z-added.msg"
	echo '/* of the base only */' >"$backports/lib/only_here.c"
	touch "$backports/series/06-selftests.msg"
	works scripts/tree/apply
	[ "$(linux log --format=%s overlay | tail -n 2 | head -n 1)" = 'Another subject' ]
	linux log --format=%an base..overlay | sed 's|series/||; s|\.msg$||' >"$scratch/mails"
	diff <(tac "$scratch/mails") <(
		printf '%s\n' 01-fix-idr 02-radix-tree 02-z-added 03-pid-alloc 04-trace 05-config 07-native 'no *'
	)
	[ "$(linux log -1 --format=%s --author=02-z-added overlay)" = 'An added mail' ]
	[ "$(linux diff-tree -r --name-only --no-commit-id "$(linux log -1 --format=%H --author=02-z-added overlay)")" = lib/only_here.c ]
	unchanged
	# Without the backports nothing of it is left.
	rm -r "$backports"
	works scripts/tree/apply
	[ "$(linux log --format=%an base..overlay | wc -l)" = 7 ]
}

@test "a step of a mail can be the base's own, and refresh keeps it there" {
	local mail=03-pid-alloc path=kernel/Makefile patch
	older
	patch=$backports/series/$mail.patch
	works scripts/tree/apply
	export GIT_EDITOR=true
	cp -r series "$scratch"
	GIT_SEQUENCE_EDITOR="sed -i '3s/^pick/edit/'" linux rebase -i base
	sed -i '1a /* in the middle */' "$linux/$path"
	linux commit -q --amend -a -m 'A new subject' -m 'A new text.'
	linux rebase --continue
	sed -i '/^\/\* in the middle \*\/$/d' "$linux/$path"
	works scripts/tree/refresh
	grep -q '^+/\* in the middle \*/' "$patch"
	cmp "series/$mail.patch" "$scratch/series/$mail.patch"
	[ "$(sed -n 1p "series/$mail.msg")" = 'A new subject' ]
	[ "$(find backports -type f)" = "$patch" ]
	unchanged
	linux show "$(linux log --format=%H --author="series/$mail.msg" overlay):$path" | grep -q 'in the middle'
}
