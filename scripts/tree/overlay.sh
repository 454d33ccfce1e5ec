# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced after common.sh: which files the overlay has, and which mail has them.
#
# series/NN-name.msg is the message of a mail. It ends with a line "Files:" and the
# files that the mail brings to their last state, one a line; a directory with a slash at
# its end stands for everything below it that no message names. What the mail changes in
# files that a later mail brings to their last state is in series/NN-name.patch.
#
# The overlay is written for $OVERLAY_BASE. For an older base, what is in backports/$BASE
# takes the place of what the overlay has for the same path of the kernel tree, be it the
# whole X or X.patch. Such an X.patch changes the overlay's X if the overlay has that whole,
# else the base's X. An empty one leaves the base as it is. Of backports/$BASE/series each
# file takes the place of that of series/; an empty .msg drops the mail.

# The overlay and its series are in OVERLAY (for make check), else in the repository.
OVERLAY=${OVERLAY:-$ROOT}
BACKPORTS=$OVERLAY/backports/$BASE
[ "$BASE" != "$OVERLAY_BASE" ] || BACKPORTS=/nonexistent
ROOTS='MAINTAINERS.patch Documentation arch block crypto drivers fs include init io_uring ipc kernel lib mm net samples security sound tools usr virt'

# find_files DIR PATH...: what is in these of DIR, folders or files
find_files() {
	local path paths=() dir=$1
	shift
	for path; do
		[ ! -e "$dir/$path" ] || paths+=("$path")
	done
	[ ${#paths[@]} = 0 ] ||
		(cd "$dir" && find "${paths[@]}" -type f ! -name '*.orig' ! -name '*.rej' ! -name '*~' ! -name '.*.sw?' | sort)
}

# tree_files DIR: what is in DIR for the kernel tree
# shellcheck disable=SC2086 # a list
tree_files() { find_files "$1" $ROOTS; }

# all_files: the overlay for all bases, as paths in this repository
# shellcheck disable=SC2086 # a list
all_files() { find_files "$OVERLAY" $ROOTS backports series; }

# list: the overlay for $BASE: X for a whole file, X.patch for a change to the base's X
list() {
	local f
	{
		tree_files "$OVERLAY" | sed 's/^/own /'
		tree_files "$BACKPORTS" | while read -r f; do
			if [[ $f = *.patch && ! -s $BACKPORTS/$f ]]; then echo "none $f"; else echo "backport $f"; fi
		done
	} | awk '
	{ path = $2; sub(/\.patch$/, "", path) }
	$1 == "none" { delete file[path]; next }
	# A patch to a whole file of the overlay makes a whole file.
	$1 == "own" || file[path] != path { file[path] = $2 }
	END { for (path in file) print file[path] }' | sort
}

# read_me DIR: me becomes who makes commits, as git says in DIR or else here. Before git.sh,
# which ignores the user's settings.
read_me() {
	local what value
	me=()
	for what in name email; do
		value=$(command git -c safe.directory='*' -C "$1" config user.$what) ||
			value=$(repository config user.$what) ||
			die "git does not know who you are: git config --global user.$what ..."
		me+=("GIT_AUTHOR_${what^^}=$value" "GIT_COMMITTER_${what^^}=$value")
	done
	me+=("GIT_AUTHOR_DATE=$(date -R)" "GIT_COMMITTER_DATE=$(date -R)")
}

# series_file NAME: the path of that file of the series
series_file() {
	if [ -e "$BACKPORTS/series/$1" ]; then printf '%s' "$BACKPORTS/series/$1"; else printf '%s' "$OVERLAY/series/$1"; fi
}

# mails: their names, 03-pid-alloc, in the series' order; 00-cover is none
mails() {
	local mail
	{ find_files "$OVERLAY" series && find_files "$BACKPORTS" series; } |
		sed -n '/^series\/00-/d; s|^series/\([0-9].*\)\.msg$|\1|p' | sort -u | while read -r mail; do
		[ ! -s "$(series_file "$mail.msg")" ] || printf '%s\n' "$mail"
	done
}

message() { sed '/^Files:$/,$d' "$(series_file "$1.msg")" | git stripspace; }

# owners: for each of the overlay's files its name, a tab and its mail, if one has it.
# The input is the overlay's list. A mail may name what only other bases have.
owners() {
	local mail msg folder
	{
		sed 's/^/here /'
		for folder in "$OVERLAY" "$OVERLAY"/backports/*; do
			tree_files "$folder" | sed 's/^/elsewhere /'
		done
		for mail in $(mails); do
			msg=$(series_file "$mail.msg")
			grep -qx 'Files:' "$msg" || echo "$mail"
			sed '1,/^Files:$/d; /^[[:space:]]*$/d; s|^|'"$mail"' |' "$msg"
		done
	} | awk '
	function wrong(text) { print "error: series/" $1 ".msg " text >"/dev/stderr"; failed = 1; exit }
	function kernel_path(name) { sub(/\.patch$/, "", name); return name }
	NF == 1 { wrong("has no line Files:") }
	{ path = kernel_path($2) }
	$1 == "here" { file[++files] = $2 }
	$1 == "here" || $1 == "elsewhere" { owner[path] = ""; next }
	path ~ /\/$/ { mail[++dirs] = $1; dir[dirs] = path; next }
	!(path in owner) { wrong("names " $2 ", which the overlay does not have") }
	owner[path] { wrong("names " $2 ", which " owner[path] ".msg names too") }
	{ owner[path] = $1 }
	END {
		if (failed)
			exit 1
		for (d = 1; d <= dirs; d++) {
			found = 0
			for (path in owner)
				if (!owner[path] && index(path, dir[d]) == 1) {
					owner[path] = mail[d]
					found = 1
				}
			if (!found) {
				$1 = mail[d]
				wrong("names " dir[d] ", but no file below it is left for it")
				exit 1
			}
		}
		for (i = 1; i <= files; i++)
			print file[i] "\t" owner[kernel_path(file[i])]
	}'
}
