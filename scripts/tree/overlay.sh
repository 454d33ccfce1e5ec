# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced after common.sh: which files the overlay has, and which mail has them.
#
# series/NN-name.msg is the message of a mail. It ends with a line "Files:" and the
# overlay's files that the mail brings to their last state, one a line; a directory
# with a slash at its end stands for everything below it that no message names. What
# the mail changes in files that a later mail brings to their last state is in
# series/NN-name.patch.

# The overlay and its series are in OVERLAY (for make check), else in the repository.
OVERLAY=${OVERLAY:-$ROOT}
ROOTS='Documentation arch block crypto drivers fs include init io_uring ipc kernel lib mm net samples security sound tools usr virt'

list() {
	local d dirs=()
	for d in $ROOTS; do
		[ ! -d "$OVERLAY/$d" ] || dirs+=("$d")
	done
	[ ${#dirs[@]} = 0 ] ||
		(cd "$OVERLAY" && find "${dirs[@]}" -type f ! -name '*.orig' ! -name '*.rej' ! -name '*~' ! -name '.*.sw?' | sort)
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

# mails: their names, 03-pid-alloc, in the series' order; 00-cover is none
mails() {
	[ ! -d "$OVERLAY/series" ] ||
		(cd "$OVERLAY/series" && find . -name '[0-9]*.msg' ! -name '00-*' -printf '%f\n' | sed 's/\.msg$//' | sort)
}

message() { sed '/^Files:$/,$d' "$OVERLAY/series/$1.msg" | git stripspace; }

# owners: for each of the overlay's files its name, a tab and its mail, if one has it.
# The input is the overlay's list.
owners() {
	local mail
	{
		sed 's/^/- /'
		for mail in $(mails); do
			grep -qx 'Files:' "$OVERLAY/series/$mail.msg" || echo "$mail"
			sed '1,/^Files:$/d; /^[[:space:]]*$/d; s|^|'"$mail"' |' "$OVERLAY/series/$mail.msg"
		done
	} | awk '
	function wrong(text) { print "error: series/" $1 ".msg " text >"/dev/stderr"; failed = 1; exit }
	$1 == "-" { file[++files] = $2; owner[$2] = ""; next }
	NF == 1 { wrong("has no line Files:") }
	$2 ~ /\/$/ { mail[++dirs] = $1; dir[dirs] = $2; next }
	!($2 in owner) { wrong("names " $2 ", which the overlay does not have") }
	owner[$2] { wrong("names " $2 ", which " owner[$2] ".msg names too") }
	{ owner[$2] = $1 }
	END {
		if (failed)
			exit 1
		for (d = 1; d <= dirs; d++) {
			found = 0
			for (i = 1; i <= files; i++)
				if (!owner[file[i]] && index(file[i], dir[d]) == 1) {
					owner[file[i]] = mail[d]
					found = 1
				}
			if (!found) {
				$1 = mail[d]
				wrong("names " dir[d] ", but no file below it is left for it")
				exit 1
			}
		}
		for (i = 1; i <= files; i++)
			print file[i] "\t" owner[file[i]]
	}'
}
