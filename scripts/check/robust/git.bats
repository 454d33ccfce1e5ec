#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# What is edited in build/$BASE/linux and in the overlay: no edit is ever lost.
# shellcheck disable=SC2030,SC2031,SC2154 # each test has a shell of its own, and setup's variables

load environment

# linux COMMAND...: git in the tree, as its user
linux() { git -C "$linux" -c user.name=me -c user.email=me@localhost "$@"; }

# applied: a tree with the overlay applied
applied() {
	tree
	linux=build/kdir/$BASE/linux
	works scripts/tree/apply
}

# ends FILE TEXT: that is its last line
ends() { [ "$(tail -n 1 "$1")" = "$2" ]; }

# conflict: the same place is edited on both sides
conflict() {
	echo '/* here */' >>"$linux/kernel/set_tid.c"
	echo '/* there */' >>kernel/set_tid.c
	try scripts/tree/apply
	fails_with 'CONFLICT.*kernel/set_tid.c'
	fails_with 'changed both in the overlay and in .*git rebase --continue'
	ends kernel/set_tid.c '/* there */'
	grep -q '<<<<<<<' "$linux/kernel/set_tid.c"
}

@test "the same overlay gives the same commits, and nothing is written again" {
	applied
	cp -a "$linux" "$scratch/before"
	linux rev-parse overlay >"$scratch/commit"
	works scripts/tree/apply
	[ ! -s "$scratch/out" ]
	works scripts/tree/refresh
	[ ! -s "$scratch/out" ]
	[ -z "$(linux status --short)" ]
	diff -r -x .git "$scratch/before" "$linux"
	rm -rf build
	applied
	linux rev-parse overlay | diff "$scratch/commit" -
}

@test "edits on both sides, in different files, are both kept; other files keep their time" {
	local before
	applied
	echo '/* here */' >>"$linux/kernel/set_tid.c"
	echo '/* new */' >"$linux/kernel/new_file.c"
	rm "$linux/tools/testing/pid/Makefile"
	before=$(stat -c '%Y %i' "$linux/kernel/set_tid.c" "$linux/kernel/fork.c" "$linux/lib/idr.c")
	echo '/* there */' >>kernel/pid_alloc.c
	works scripts/tree/apply
	ends "$linux/kernel/set_tid.c" '/* here */'
	ends "$linux/kernel/new_file.c" '/* new */'
	ends "$linux/kernel/pid_alloc.c" '/* there */'
	[ ! -e "$linux/tools/testing/pid/Makefile" ]
	[ "$before" = "$(stat -c '%Y %i' "$linux/kernel/set_tid.c" "$linux/kernel/fork.c" "$linux/lib/idr.c")" ]
	works scripts/tree/refresh
	grep 'no series/\*.msg names kernel/new_file.c' "$scratch/out"
	ends kernel/set_tid.c '/* here */'
	ends kernel/new_file.c '/* new */'
	ends kernel/pid_alloc.c '/* there */'
	[ ! -e tools/testing/pid/Makefile ]
	[ -z "$(linux status --short)" ]
	try scripts/tree/series
	fails_with 'no series/\*.msg covers kernel/new_file.c'
}

@test "edits on both sides, in one file, are merged" {
	applied
	sed -i '1a /* here */' "$linux/kernel/set_tid.c"
	echo '/* there */' >>kernel/set_tid.c
	works scripts/tree/refresh
	ends kernel/set_tid.c '/* there */'
	grep -q '/\* here \*/' kernel/set_tid.c
	cmp kernel/set_tid.c "$linux/kernel/set_tid.c"
}

@test "a conflict waits for the user, and can be resolved" {
	applied
	echo '/* new */' >"$linux/kernel/new_file.c"
	conflict
	try scripts/tree/apply
	fails_with 'finish what is under way there'
	try scripts/tree/refresh
	fails_with 'finish what is under way there'
	sed -i '/^[<=>]\{7\}/d' "$linux/kernel/set_tid.c"
	linux add kernel/set_tid.c
	GIT_EDITOR=true linux rebase --continue
	works scripts/tree/refresh
	printf '%s\n' '/* there */' '/* here */' | diff - <(tail -n 2 kernel/set_tid.c)
	ends kernel/new_file.c '/* new */'
	[ "$(linux log -1 --format=%an)" = "no series/*.msg" ]
}

@test "a conflict can be taken back, with all edits" {
	applied
	echo '/* new */' >"$linux/kernel/new_file.c"
	conflict
	linux rebase --abort
	ends "$linux/kernel/set_tid.c" '/* here */'
	ends "$linux/kernel/new_file.c" '/* new */'
	sed -i '$d' kernel/set_tid.c
	works scripts/tree/apply
	ends "$linux/kernel/set_tid.c" '/* here */'
	[ "$(linux status --short)" = $' M kernel/set_tid.c\n?? kernel/new_file.c' ]
}

@test "commits in the tree stay on top, and refresh takes what they change" {
	applied
	echo '/* mine */' >>"$linux/kernel/set_tid.c"
	linux commit -qam 'mine'
	echo '/* edited */' >>"$linux/lib/idr.c"
	echo '/* there */' >>kernel/pid_alloc.c
	works scripts/tree/apply
	[ "$(linux log -1 --format='%an %s')" = 'me mine' ]
	ends "$linux/kernel/pid_alloc.c" '/* there */'
	[ "$(linux status --short)" = ' M lib/idr.c' ]
	works scripts/tree/refresh
	ends kernel/set_tid.c '/* mine */'
	ends lib/idr.c.patch '+/* edited */'
	linux diff --exit-code overlay
}

@test "a changed commit goes back to its own mail" {
	applied
	# It changes a file which a later one changes, too.
	local mail=01-fix-idr path=lib/radix-tree.c
	export GIT_EDITOR=true
	GIT_SEQUENCE_EDITOR="sed -i '1s/^pick/edit/'" linux rebase -i base
	sed -i '1a /* in the middle */' "$linux/$path"
	linux commit -q --amend -a -m 'A new subject' -m 'A new text.'
	linux rebase --continue
	works scripts/tree/refresh
	grep -q '^+/\* in the middle \*/' "series/$mail.patch"
	[ "$(sed -n 1p "series/$mail.msg")" = 'A new subject' ]
	grep -q '^Files:' "series/$mail.msg"
	linux show "$(linux log --format=%H --author="series/$mail.msg" overlay):$path" | grep -q 'in the middle'
	works scripts/tree/refresh
	[ ! -s "$scratch/out" ]
}

@test "changed commits and a changed overlay: an error that says how to go on" {
	applied
	echo '/* here */' >>"$linux/kernel/set_tid.c"
	linux commit -q --amend -a --no-edit
	echo '/* there */' >>kernel/pid_alloc.c
	try scripts/tree/apply
	fails_with 'git reset --soft overlay'
	try scripts/tree/refresh
	fails_with 'git stash'
	ends "$linux/kernel/set_tid.c" '/* here */'
	linux reset -q --soft overlay
	works scripts/tree/refresh
	ends kernel/set_tid.c '/* here */'
	ends kernel/pid_alloc.c '/* there */'
}

@test "a mail whose commit is gone from the tree is not forgotten silently" {
	applied
	linux reset -q --hard overlay~1
	try scripts/tree/refresh
	fails_with 'the commits in .* are of these mails'
	linux reset -q --hard overlay
	works scripts/tree/refresh
}

# Killed in the middle of its writing, with one file half-written.
@test "an interrupted make tree is finished by the next" {
	applied
	echo '/* here */' >>"$linux/kernel/set_tid.c"
	echo '/* new */' >"$linux/kernel/new_file.c"
	echo '/* there */' | tee -a kernel/pid_alloc.c >>kernel/set_tid_trace.c
	fake git <<-FAKE
		case "\$*" in
		*checkout-index*)
			head -c 1000 kernel/pid_alloc.c >$linux/kernel/pid_alloc.c
			kill -9 \$PPID
			exit 1
			;;
		esac
		exec $(command -v git) "\$@"
	FAKE
	try scripts/tree/apply
	[ "$status" != 0 ]
	[ "$(stat -c %s "$linux/kernel/pid_alloc.c")" = 1000 ]
	rm "$fake/git"
	works scripts/tree/apply
	cmp kernel/pid_alloc.c "$linux/kernel/pid_alloc.c"
	cmp kernel/set_tid_trace.c "$linux/kernel/set_tid_trace.c"
	[ "$(linux status --short)" = $' M kernel/set_tid.c\n?? kernel/new_file.c' ]
	ends "$linux/kernel/set_tid.c" '/* here */'
}

# Killed when a part of the overlay is written.
@test "an interrupted make refresh is finished by the next" {
	applied
	echo '/* here */' | tee -a "$linux/kernel/set_tid.c" "$linux/kernel/pid_alloc.c" >>"$linux/lib/idr.c"
	fake mv <<-'FAKE'
		/bin/mv "$@"
		case $* in *pid_alloc.c*) kill -9 $PPID ;; esac
	FAKE
	try scripts/tree/refresh
	[ "$status" != 0 ]
	ends kernel/pid_alloc.c '/* here */'
	[ "$(tail -n 1 lib/idr.c.patch)" != '+/* here */' ]
	rm "$fake/mv"
	works scripts/tree/refresh
	ends kernel/set_tid.c '/* here */'
	ends kernel/pid_alloc.c '/* here */'
	ends lib/idr.c.patch '+/* here */'
	[ -z "$(linux status --short)" ]
}

@test "a file that git ignores is not overwritten" {
	applied
	echo mine >"$linux/kernel/x.o"
	echo theirs >kernel/x.o
	try scripts/tree/apply
	fails_with 'kernel/x.o is in the way'
	ends "$linux/kernel/x.o" mine
}

@test "a change outside of the overlay's folders is an error" {
	applied
	echo '# here' >>"$linux/Makefile"
	try scripts/tree/refresh
	fails_with 'Makefile: the overlay cannot carry changes there'
	ends "$linux/Makefile" '# here'
}

@test "a change of the mode only, which a patch cannot say, is an error" {
	applied
	chmod +x "$linux/lib/idr.c"
	try scripts/tree/refresh
	fails_with 'cannot carry all of the change in lib/idr.c'
	[ -x "$linux/lib/idr.c" ]
}

@test "another branch, or a commit of the series, can be checked out and built" {
	applied
	linux checkout -q overlay~2
	works scripts/tree/apply
	[ ! -s "$scratch/out" ]
	echo '/* there */' >>kernel/pid_alloc.c
	try scripts/tree/apply
	fails_with 'does not have its branch series checked out'
	linux checkout -q series
	works scripts/tree/apply
}

@test "a tree of an older make tree is not touched" {
	applied
	rm -rf "$linux/.git"
	cp -a "$linux" "$scratch/before"
	try scripts/tree/apply
	fails_with 'is no git repository'
	try scripts/tree/refresh
	fails_with 'is no git repository'
	diff -r "$scratch/before" "$linux"
}

@test "series: what does not fit is named" {
	applied
	printf '%s\n' kernel/nothing.c >>series/01-fix-idr.msg
	try scripts/tree/apply
	fails_with 'series/01-fix-idr.msg names kernel/nothing.c, which the overlay does not have'
	sed -i '$s|.*|kernel/set_tid.c|' series/01-fix-idr.msg
	try scripts/tree/apply
	fails_with 'names kernel/set_tid.c, which .* names too'
	sed -i '$d' series/01-fix-idr.msg
	sed -i '/^ /s/^ \(.*\)/ x\1/' series/01-fix-idr.patch
	try scripts/tree/apply
	fails_with 'series/01-fix-idr.patch does not fit: .*FAILED'
}

@test "the fixes of the series have a tree, as the series has them" {
	local fixes
	applied
	fixes=build/kdir/$BASE/fixes
	works scripts/tree/fixes
	grep -q '/\* first \*/' "$fixes/lib/radix-tree.c"
	cmp "$linux/lib/idr.c" "$fixes/lib/idr.c"
	# Not what a later mail brings.
	if grep -q '/\* second \*/' "$fixes/lib/radix-tree.c"; then return 1; fi
	[ ! -e "$fixes/kernel/pid_alloc.c" ]
	diff -r "$small/kernel" "$fixes/kernel"
	# They change, a part of them was not written, or the tree is another one.
	sed -i 's/first/changed/' series/01-fix-idr.patch lib/radix-tree.c.patch
	works scripts/tree/apply
	works scripts/tree/fixes
	grep -q '/\* changed \*/' "$fixes/lib/radix-tree.c"
	rm "$fixes/lib/idr.c"
	works scripts/tree/fixes
	cmp "$linux/lib/idr.c" "$fixes/lib/idr.c"
	rm -rf "$linux"
	applied
	works scripts/tree/fixes
	grep -q '/\* changed \*/' "$fixes/lib/radix-tree.c"
	linux worktree list | grep -q '/fixes '
	mv series/01-fix-idr.msg series/01-idr.msg
	mv series/01-fix-idr.patch series/01-idr.patch
	works scripts/tree/apply
	try scripts/tree/fixes
	fails_with '^error: no mail of the series is a fix'
}

# clone_of_user: a clone with edits and history of its own, as kernel developers have them
clone_of_user() {
	user=$scratch/user
	cp -r "$small" "$user"
	git -C "$user" init -q
	git -C "$user" config user.name me
	git -C "$user" config user.email me@localhost
	git -C "$user" add -A -f
	git -C "$user" commit -q -m 'theirs'
	echo '/* edited */' >>"$user/kernel/fork.c"
	echo >"$user/untracked"
	cp -a "$user" "$scratch/before"
}

# unchanged: but for what a branch is made of
unchanged() { diff -r -x objects -x refs -x logs "$scratch/before" "$user"; }

@test "make branch leaves all but the branch as it is" {
	local commits
	applied
	clone_of_user
	works env LINUX="$user" scripts/tree/branch
	unchanged
	commits=$(git -C "$user" rev-list --count HEAD..set_tid)
	[ "$commits" = "$(git -C "$linux" rev-list --count base..overlay)" ]
	[ "$(git -C "$user" log -1 --format='%an %cn' set_tid)" = 'me me' ]
	try env LINUX="$user" scripts/tree/branch
	fails_with 'has a branch set_tid already'
	try env LINUX="$user" BRANCH='a b' scripts/tree/branch
	fails_with 'BRANCH=a b is no name for a branch'
	try env LINUX="$fake" scripts/tree/branch
	fails_with 'is no git repository'
	try scripts/tree/branch
	fails_with 'LINUX=/path/to/linux is not set'
}

@test "make branch: a patch that does not apply is named, and nothing is left" {
	applied
	sed -i 's/free_pid/xree_pid/' "$small/kernel/pid.c"
	clone_of_user
	export KDIR=
	mkdir "build/$BASE"
	ln -s "../kdir/$BASE/linux" "../kdir/$BASE/base" "build/$BASE"
	try env LINUX="$user" scripts/tree/branch
	fails_with 'series/.*.msg (.*) does not apply to HEAD of .*: the hunk at line [0-9]* of kernel/pid.c'
	diff -r "$scratch/before" "$user"
	sed -i 's/^VERSION = .*/VERSION = 6/; s/^PATCHLEVEL = .*/PATCHLEVEL = 11/' "$user/Makefile"
	git -C "$user" commit -qam 'another version'
	try env LINUX="$user" scripts/tree/branch
	fails_with "is not at a Linux $BASE .* 6.11), and has no tag v$BASE"
}

@test "make branch takes the overlay for the version of the clone, not the one that was chosen" {
	local older=$BASE
	newer
	mkdir -p "backports/$BASE/kernel" build
	echo '/* another */' >"backports/$BASE/kernel/set_tid.c"
	package
	clone_of_user
	unset BASE
	echo 9.9 >build/base-choice
	works env LINUX="$user" scripts/tree/branch
	[ "$(git -C "$user" show set_tid:kernel/set_tid.c)" = '/* another */' ]
	[ ! -e build/9.9/base ]
	[ "$(cat build/base-choice)" = 9.9 ]
	# Elsewhere it is the chosen base's newest tag.
	git -C "$user" tag "v$older"
	sed -i 's/^VERSION = .*/VERSION = 1/' "$user/Makefile"
	git -C "$user" commit -qam 'another version'
	echo "$older" >build/base-choice
	works env LINUX="$user" BRANCH=second scripts/tree/branch
	grep -q "commits on v$older:" "$scratch/out"
	[ "$(git -C "$user" show second:kernel/set_tid.c)" = '/* another */' ]
}
