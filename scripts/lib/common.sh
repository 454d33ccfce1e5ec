# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # its variables are used by others
#
# Sourced by the other scripts: names of places, and how to say things.
#
# Input: BASE (the version of the kernel; default: see find_base), KDIR (the user's own
# tree), KERNEL (patched, stock or fixes), JOBS, BUILD (another place for what is made: make check
# has one), VARIANT (how the kernel is configured: kernel/configs/set_tid_$VARIANT.config;
# default: DEBUG, the user's), GUEST (criu: CRIU is in the guest, and is what runs there), CRIU_SRC
# (a checkout of CRIU, for GUEST=criu).
# Sets: ROOT (the repository), BASE, B (where things are made), PRISTINE (the base as it
# came), TREE (with the overlay), OBJ, IMAGE (the guest's root), LOG, NAME (of what is
# booted, in the names of logs), SLOW (how many times longer what runs in this kernel may
# take).

set -euo pipefail
export LC_ALL=C
# Every make started from here decides for itself how many jobs it runs.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL
# A kernel's version says nothing of the commit that it is built from: a new commit
# would build more than what has changed.
export LOCALVERSION=

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KDIR=${KDIR:-}
KERNEL=${KERNEL:-patched}
export VARIANT=${VARIANT:-${DEBUG:-}}
GUEST=${GUEST:-}
JOBS=${JOBS:-$(nproc)}
TARGETS=${TARGETS:-pidfd clone3 pid_namespace}

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# short PATH: as the user would type it
short() { printf '%s' "${1#"$ROOT"/}"; }

. "$ROOT/scripts/lib/bases"
find_base

# Neither bases mix, nor a tree of the user's own with the package's.
B=$(realpath -m "${BUILD:-$ROOT/build/${KDIR:+kdir/}$BASE}")
PRISTINE=$B/base
TREE=$B/linux
LOG=$B/log
OBJ=$B/obj/${VARIANT:+$VARIANT-}$KERNEL
NAME=${NAME:-${GUEST:+$GUEST-on-}${OBJ##*/}}
CRIU_SRC=${CRIU_SRC:-}
[ "$GUEST" = criu ] || CRIU_SRC=
case $GUEST in
criu) IMAGE=$B/initramfs-${CRIU_SRC:+zdtm-}criu.gz ;;
*) IMAGE=$B/initramfs.gz ;;
esac
case $VARIANT in
kasan) SLOW=12 ;;
kcsan) SLOW=8 ;;
*) SLOW=1 ;;
esac

# need_space MB: is there room for that much in build/?
need_space() {
	local free
	free=$(df -Pm "$B" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "disk too small: $(short "$B") needs $1 MB and has $free MB; free some, or clone the repository elsewhere"
}

# repository COMMAND...: git in this repository, whoever owns it
repository() { command git -c safe.directory="$ROOT" -C "$ROOT" "$@"; }

# kernel_tests: the set_tid test programs that test the kernel's code
kernel_tests() { make -s -f "$ROOT/tools/testing/selftests/pidfd/set_tid.mk" print-set_tid-kernel-tests; }

# number NAME LEAST [MOST]: if that variable is set, is it a number in this range?
number() {
	local value=${!1:-$2}
	[[ $value =~ ^[0-9]{1,9}$ && $((10#$value)) -ge $2 && $((10#$value)) -le ${3:-999999999} ]] ||
		die "$1=$value is not a number of at least $2${3:+ and at most $3}"
}
number JOBS 1
number TIMEOUT 1
number MEM 1
number RUNS 1
number MINUTES 1
# What the kernel takes: above RESERVED_PIDS, up to PID_MAX_LIMIT.
number PID_MAX 301 4194304

mkdir -p "$B" "$LOG"
case $KERNEL in
patched | stock | fixes) ;;
*) die "KERNEL=$KERNEL is none of patched, stock and fixes" ;;
esac
[ -z "$VARIANT" ] || [ -e "$ROOT/kernel/configs/set_tid_$VARIANT.config" ] ||
	die "there is no kernel/configs/set_tid_$VARIANT.config"
