# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced: packages of another Debian suite than those that apt knows, through the mirror that
# apt uses. Nothing is installed, and nothing changes for apt.

# use_suite DIR SUITE: get the lists of its packages. DIR: keeps them, for suite_get.
use_suite() {
	local site
	# shellcheck disable=SC2016 # apt's own placeholder
	site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
	if [ -z "$site" ]; then
		echo 'error: apt knows no Debian archive: apt-get update' >&2
		return 1
	fi
	rm -rf "$1/lists" "$1/archives"
	mkdir -p "$1/lists/partial" "$1/archives/partial"
	: >"$1/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $2 main" >"$1/sources.list"
	suite_get "$1" update
}

# suite_get DIR ARGUMENT...: apt-get with that suite alone, whatever this machine prefers. It
# downloads to DIR/archives, and takes nothing for installed. Any user can.
suite_get() {
	local dir
	dir=$(realpath "$1")
	shift
	apt-get -q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o "Dir::State::Lists=$dir/lists" -o "Dir::State::status=$dir/status" \
		-o APT::Default-Release= -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o "Dir::Cache::archives=$dir/archives" \
		-o APT::Sandbox::User=root "$@"
}

# suite_get_first DIR 'SUITE...' ARGUMENT...: the same, with the first of these suites where it
# works. Status: 1 if that is none.
suite_get_first() {
	local dir=$1 suites=$2 suite
	shift 2
	for suite in $suites; do
		! use_suite "$dir" "$suite" || ! suite_get "$dir" "$@" || return 0
	done
	return 1
}
