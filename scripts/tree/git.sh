# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2153 # names of others' variables
#
# Sourced after overlay.sh: build/$BASE/linux as a git repository.
#
#   base     tag: the kernel that the overlay is for
#   overlay  tag: the base, then a commit for each mail, as the overlay had them when
#            build/$BASE/linux was last made from it, or brought back into it
#   series   branch, checked out: the same, and what somebody has committed in build/$BASE/linux
#
# A commit's author is the mail's message, series/03-pid-alloc.msg: it says where to look,
# and a commit keeps it through a rebase. The same overlay gives the same commits.

# Nothing of the user's own git settings, nor of a git that has started us.
# shellcheck disable=SC2046 # a list
unset $(command git rev-parse --local-env-vars)
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=overlay GIT_AUTHOR_EMAIL=overlay@localhost GIT_AUTHOR_DATE='1735689600 +0000'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE

# git in build/$BASE/linux, whoever owns it. A rename is a file that goes and one that comes.
git() { command git -c safe.directory='*' -c merge.renames=false -c advice.detachedHead=false -C "$TREE" "$@"; }

tmp=$(mktemp -d "$B/tree.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

is_ancestor() { git merge-base --is-ancestor "$1" "$2"; }

# The subject of commit_tree()'s commits, if it is another one.
text=
# The author of what the overlay has and no mail has; of edits while git merges them.
no_mail='no series/*.msg'
edits='uncommitted edits'

# record MAIL PATH FILE: with that mail PATH becomes FILE, or goes if there is none
record() {
	local mode=100644
	[ ! -x "$3" ] || mode=100755
	if [ -e "$3" ]; then
		printf '%s\n' "$3" >>"$tmp/blobs"
		printf 'M %s\t%s\t%s\n' $mode "$2" "$1" >>"$tmp/changes"
	else
		printf 'D\t%s\t%s\n' "$2" "$1" >>"$tmp/changes"
	fi
	state[$2]=$3
}

# intermediate MAIL: what it changes in files that a later mail changes, too
intermediate() {
	local path step=$tmp/steps/$1 patch out cure=
	patch=$(series_file "$1.patch")
	[ -s "$patch" ] || return 0
	[ "$BASE" = "$OVERLAY_BASE" ] || [ "$patch" != "$OVERLAY/series/$1.patch" ] ||
		cure="; it needs a backports/$BASE/series/$1.patch"
	mkdir -p "$step"
	git apply --numstat "$patch" | cut -f3 >"$tmp/patched" || die "$(short "$patch") is no patch"
	while read -r path; do
		mkdir -p "$step/$(dirname "$path")"
		[ ! -e "${state[$path]-$PRISTINE/$path}" ] ||
			cp --preserve=mode "${state[$path]-$PRISTINE/$path}" "$step/$path"
	done <"$tmp/patched"
	out=$(cd "$step" && patch -p1 -F0 -E --no-backup-if-mismatch -r - <"$patch") ||
		die "$(short "$patch") does not fit: $(awk '/^patching file/ { f = $3 } / FAILED at / { print f ": " $0; exit }' <<<"$out")$cure"
	while read -r path; do
		later "$1" "$path" || die "$(short "$patch") changes $path, which no later mail brings to its last state$cure"
		record "$1" "$path" "$step/$path"
	done <"$tmp/patched"
}

# later MAIL PATH: does a later mail bring it to its last state?
later() {
	local owner=${owner[$2]-}
	[[ $owner && $owner > $1 ]]
}

# mail_commit REF AUTHOR: the head of a commit for git fast-import; its message is stdin
mail_commit() {
	local text
	text=$(cat)
	printf 'commit %s\nauthor %s <%s> %s\ncommitter %s <%s> %s\ndata %d\n%s\n\n' "$1" \
		"$2" "$GIT_AUTHOR_EMAIL" "$GIT_AUTHOR_DATE" \
		"$GIT_COMMITTER_NAME" "$GIT_COMMITTER_EMAIL" "$GIT_COMMITTER_DATE" \
		$((${#text} + 1)) "$text"
}

# read_owners: owner[PATH] is the mail that has this path of the kernel tree
read_owners() {
	local f mail
	list | owners >"$tmp/owners"
	owner=()
	while IFS=$'\t' read -r f mail; do
		# shellcheck disable=SC2034 # for later()
		owner[${f%.patch}]=$mail
	done <"$tmp/owners"
}

# commits REF: make them from the overlay, in REF. All of the files are looked at, once;
# what git has already is not written again.
commits() {
	local mail f
	local -A state=() owner=()
	"$ROOT/scripts/tree/overlay" results "$tmp/new"
	read_owners
	rm -rf "$tmp/steps" "$tmp/changes" "$tmp/blobs"
	touch "$tmp/changes" "$tmp/blobs"
	for f in "$OVERLAY/series"/*.patch "$BACKPORTS/series"/*.patch; do
		mail=${f##*/}
		mail=${mail%.patch}
		[ ! -e "$f" ] || [ -e "$(series_file "$mail.msg")" ] || die "$(short "$f") has no $mail.msg beside it"
	done
	for mail in $(mails) ''; do
		[ -z "$mail" ] || intermediate "$mail"
		while read -r f; do
			record "$mail" "${f%.patch}" "$tmp/new/${f%.patch}"
		done < <(awk -F'\t' -v mail="$mail" '$2 == mail { print $1 }' "$tmp/owners")
	done
	git hash-object -w --no-filters --stdin-paths <"$tmp/blobs" >"$tmp/hashes"
	{
		printf 'reset %s\nfrom %s\n\n' "$1" "$(git rev-parse 'base^{commit}')"
		for mail in $(mails) ''; do
			if [ "$mail" ]; then
				message "$mail" | mail_commit "$1" "series/$mail.msg"
			else
				awk -F'\t' '$3 == "" { found = 1 } END { exit !found }' "$tmp/changes" || continue
				mail_commit "$1" "$no_mail" <<<'Files that no series/*.msg names'
			fi
			# The hashes are in the order of the files that are there.
			awk -F'\t' -v mail="$mail" -v hashes="$tmp/hashes" '
				$1 != "D" { getline hash <hashes; $1 = $1 " " hash }
				$3 == mail { print $1 " " $2 }' "$tmp/changes"
			echo
		done
	} >"$tmp/import"
	git -c fastimport.unpackLimit=10000 fast-import --quiet --force <"$tmp/import"
}

# snapshot: the files of build/$BASE/linux as a tree, new ones and removed ones too
snapshot() {
	cp "$TREE/.git/index" "$tmp/index"
	GIT_INDEX_FILE=$tmp/index git add -A
	GIT_INDEX_FILE=$tmp/index git write-tree
}

# commit_tree TREE PARENT...: a commit that nobody sees
commit_tree() {
	local tree=$1
	shift
	git commit-tree -m "${text:-$edits}" "${@/#/-p}" "$tree^{tree}"
}

# finish: build/$BASE/linux becomes what refs/overlay/move says. Its tree is the files, that of its
# parent what they were; its message names the commit to check out, and the new `overlay`.
# After an interruption all of it is done again.
finish() {
	local move=refs/overlay/move path index=$tmp/finish head overlay
	read -r head overlay < <(git log -1 --format=%s $move)
	git diff-tree -r -z --no-renames --name-only --diff-filter=D $move^ $move >"$tmp/gone"
	git diff-tree -r -z --no-renames --name-only --diff-filter=d $move^ $move >"$tmp/written"
	while IFS= read -r -d '' path; do
		rm -f "$TREE/$path"
		(cd "$TREE" && rmdir -p --ignore-fail-on-non-empty "$(dirname "$path")" 2>/dev/null) || true
	done <"$tmp/gone"
	# An index of our own takes git's place when it is complete.
	cp "$TREE/.git/index" "$index"
	GIT_INDEX_FILE=$index git read-tree --reset $move
	GIT_INDEX_FILE=$index git checkout-index -f -u -z --stdin <"$tmp/written"
	GIT_INDEX_FILE=$index git read-tree --reset "$head"
	mv "$index" "$TREE/.git/index"
	git update-ref -m "make tree" --stdin <<-EOT
		update refs/heads/series $head
		update refs/tags/overlay $overlay
		delete refs/overlay/move
	EOT
}

# move HEAD FILES BEFORE OVERLAY: see finish
move() {
	local path
	while IFS= read -r -d '' path; do
		[ ! -e "$TREE/$path" ] || die "$path is in the way in $(short "$TREE"): the overlay has that file, too, and git ignores yours; move it away"
	done < <(git diff-tree -r -z --no-renames --name-only --diff-filter=A "$3" "$2")
	git update-ref refs/overlay/move \
		"$(text="$(git rev-parse "$1") $(git rev-parse "$4")" commit_tree "$2" "$(commit_tree "$3")")"
	finish
}

# settle: what an interrupted make tree, or a rebase that it has left to the user, was about
settle() {
	[ -e "$TREE/.git" ] ||
		die "$(short "$TREE") is no git repository: an older make tree has made it. Move it away (mv $(short "$TREE") $(short "$TREE").old), run make tree, and take over what diff -rq -x .git $(short "$TREE").old $(short "$TREE") shows as yours"
	if git rev-parse -q --verify refs/overlay/move >/dev/null; then
		git update-ref refs/overlay/found "$(commit_tree "$(snapshot)")"
		finish
		say "tree: finished what was interrupted; the files as they were found: git -C $(short "$TREE") show refs/overlay/found:PATH"
	fi
	[ "$(git symbolic-ref -q HEAD)" = refs/heads/series ] || return 0
	if git rev-parse -q --verify refs/overlay/next >/dev/null && is_ancestor refs/overlay/next HEAD; then
		git update-ref refs/tags/overlay refs/overlay/next
	fi
	if [ "$(git log -1 --format=%an HEAD)" = "$edits" ]; then
		git reset -q HEAD^
	fi
}

# on_series: is it ours to move?
on_series() {
	[ "$(git symbolic-ref -q HEAD)" = refs/heads/series ] ||
		die "$(short "$TREE") does not have its branch series checked out: finish what is under way there (git status), then git checkout series"
	[ ! -e "$TREE/.git/index.lock" ] ||
		die "git is at work in $(short "$TREE"): wait for it; if none is running, rm $(short "$TREE")/.git/index.lock"
	[ -z "$(git ls-files -u)" ] ||
		die "$(short "$TREE") has conflicts that are not resolved: see git status there"
}
