#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# extract.sh FILE NAME...: print the definitions of these functions and variables
# of a kernel source file, in the file's order. Each has to be there, once.

set -eu

file=$1
shift
awk -v names="$*" '
BEGIN {
	n = split(names, name, " ")
	print "#line 1 \"" ARGV[1] "\""
}

# A definition starts in column 0 and names the thing before any "(" or "=",
# or as the argument of DEFINE_*().
!inside && /^[a-z]/ && !/^extern/ {
	for (i = 1; i <= n; i++) {
		word = "(^|[ *(])" name[i]
		variable = $0 ~ ("^static .*" word "[ )].*;$")
		if (!variable && $0 !~ ("^[a-z][a-z_0-9 *]*" word "\\("))
			continue
		if ($0 ~ /;$/ && !variable)
			continue
		found[name[i]]++
		print "#line " NR
		if (variable)
			print
		else
			inside = 1
		break
	}
}
inside { print }
inside && /^}/ { inside = 0 }

END {
	for (i = 1; i <= n; i++) {
		if (found[name[i]] == 1)
			continue
		print ARGV[1] ": " name[i] " found " found[name[i]] + 0 \
			" times" >"/dev/stderr"
		bad = 1
	}
	exit bad
}' "$file"
