#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# CRIU of a newer Debian, for a base that is too new for this one's.
# shellcheck disable=SC2030,SC2031,SC2153,SC2154 # each test has a shell of its own, and setup's variables

load environment

# suites SUITE...: the base takes it from these. Those that the file has named can be had.
suites() {
	sed -i "/^CRIU_SUITES=/a $BASE $*" scripts/lib/bases
	: >"$scratch/available"
	mkdir -p "$scratch/deb/DEBIAN" "$scratch/deb/usr/sbin"
	printf '%s\n' 'Package: criu' 'Version: 9.9-1' 'Architecture: all' 'Maintainer: nobody' 'Description: none' >"$scratch/deb/DEBIAN/control"
	echo 'the new one' >"$scratch/deb/usr/sbin/criu"
	dpkg-deb -b "$scratch/deb" "$scratch/criu_9.9-1_all.deb" >/dev/null
	fake apt-get <<-FAKE
		printf '%s\n' "\$*" >>"$scratch/calls"
		for a; do
			case \$a in
			Dir::Etc::sourcelist=*) list=\${a#*=} ;;
			Dir::Cache::archives=*) archives=\${a#*=} ;;
			esac
		done
		case \$* in
		indextargets*) echo http://archive ;;
		*update) grep -qFf "$scratch/available" "\$list" ;;
		*install*) cp "$scratch"/criu_*.deb "\$archives/" ;;
		esac
	FAKE
}

@test "CRIU comes from the first suite that has it, and is kept without a network" {
	suites first second
	echo ' second main' >"$scratch/available"
	works scripts/build/criu
	[ "$(cat "build/$BASE/criu-packages/usr/sbin/criu")" = 'the new one' ]
	# Where older programs look for it.
	[ -e "build/$BASE/criu-packages/sbin/criu" ]
	[ "$(cat "build/$BASE/criu-packages/etc/criu-version")" = 9.9 ]
	fake apt-get <<<'exit 1'
	works scripts/build/criu
}

@test "all that apt-get writes for it is in build/" {
	suites first
	echo ' first main' >"$scratch/available"
	works scripts/build/criu
	for option in State::status State::Lists Cache::archives Etc::sourcelist; do
		[ "$(grep -v indextargets "$scratch/calls" | grep -c "Dir::$option=$PWD/build/")" = 2 ]
	done
}

@test "no suite has CRIU: an error, and nothing is left" {
	suites first second
	echo ' third main' >"$scratch/available"
	try scripts/build/criu
	fails_with "^error: fetching CRIU failed: .*build/$BASE/log/criu-fetch.log"
	grep -q 'none of first second' "build/$BASE/log/criu-fetch.log"
	[ ! -e "build/$BASE/criu-packages" ]
}

@test "a base that takes the installed CRIU fetches none" {
	fake apt-get <<<"touch '$scratch/fetched'"
	fake dpkg-query <<<'echo installed'
	works scripts/build/criu
	[ ! -e "$scratch/fetched" ]
	[ ! -e "build/$BASE/criu-packages" ]
}
