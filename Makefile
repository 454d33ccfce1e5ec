# SPDX-License-Identifier: GPL-2.0
#
# The one entry. Each target is a few scripts, run one after the other; what
# has not changed since is not made again. What is made is under build/, each base apart.

# What the user may set.
export BASE ?=
export KERNEL ?= patched
export DEBUG ?=
export KDIR ?=
export ACCEL ?=
export JOBS ?= $(shell nproc)
export TARGETS ?= pidfd clone3 pid_namespace
export TESTS ?=
export SPLIT ?=
export TIMEOUT ?=
export MEM ?=
export PID_MAX ?=
export CHECKS ?=
export RUNS ?= 5
export MINUTES ?= 10
export SEED ?=
export ROUNDS ?=
export MUTANTS ?=
export ONLY ?=
export CRIU_SRC ?=
export ZDTM ?=
export PREFIX ?= /usr/local
export DESTDIR ?=
export LINUX ?=
export BRANCH ?= set_tid
# As it was typed: $$ in it is for the guest's shell, not for make.
override CMD := $(value CMD)
export CMD

locked := run kselftest soak native fuzz mutants coverage bench criu guest kernel tree refresh series branch check results clean
.PHONY: help setup shell debug set_tid install $(locked)
.NOTPARALLEL:

help:
	@sed -n 's/^#: \?//p' Makefile

#: make run         the example: a process with PIDs 1, 42 and 31496, in QEMU
#: make kselftest   the test suite in QEMU; last line: N passed, N failed, N skipped. For
#:                  machines: build/7.3/results/kselftest-patched.json, .ktap and .xml (JUnit)
#: make soak        random calls against a model for MINUTES (10), then ROUNDS (300 a minute)
#:                  of each race; prints the seed, which SEED=n takes
#: make native      kernel/pid_alloc.c as a program: unit tests, model, sanitizers, and how
#:                  long it holds pidmap_lock
#: make fuzz        the same with libFuzzer, against the model, for MINUTES (10)
#: make mutants     break the kernel code in a hundred small ways, one after the other, and see
#:                  which test notices: build/7.3/results/mutants.md; over an hour the first
#:                  time
#: make coverage    which lines and branches of kernel/pid_alloc.c and kernel/set_tid.c the set_tid
#:                  selftests run, compared with scripts/test/coverage-exceptions
#: make criu        CRIU dumps processes, and restores them with the PIDs they had; ROUNDS (100)
#:                  of it while others fork. CRIU_SRC=/path/to/criu: tests of that checkout's
#:                  own suite instead, ZDTM='static/pid00 ...'; default: those about PIDs
#: make bench       what alloc_pid() costs, compared with the untouched base:
#:                  build/7.3/results/bench.md and plots. Debian 12, no KVM; with two processors
#:                  half an hour the first time, ten minutes later
#: make shell       a shell in the guest (Ctrl-A X leaves); CMD='...' runs that instead
#: make debug       the same on a kernel with debug information that waits for gdb; says how to
#:                  start gdb
#: make set_tid     the command alone, for any Linux since 5.5: build/set_tid. It takes g++, no
#:                  kernel tree and no package of ours; VERSION=x is what --version prints
#: make install     the same, with its manual page and its completion for bash, in PREFIX
#:                  (/usr/local) below DESTDIR
#:
#: make tree        get Linux, apply the overlay: build/7.3/linux, a git repository with a commit
#:                  for each patch; what you have edited or committed there stays
#: make kernel      build it: build/7.3/obj
#: make refresh     bring what was edited or committed in build/7.3/linux back into the overlay
#: make series      write the patches for git am: build/7.3/series
#: make branch      put the patches on a new branch of your own clone, those for the version that
#:                  it is at: LINUX=/path/to/linux, BRANCH=name (set_tid); nothing else changes
#:                  there
#: make check       patches, style, each step of the series, the scripts, native tests
#: make results     copy what the last runs have left in build/7.3/results, each with its commit,
#:                  base, architecture and command, into results/; write results/linux-bugs.md
#: make clean       remove build/ (with KDIR=, only what was made from it)
#:
#: BASE=version     the Linux that all of this is about: 7.3 or 6.12. Default: KDIR's, or the newest that
#:                  can be had, kept until make clean. What is made is in build/7.3
#: KERNEL=stock     the untouched base instead; kselftest then expects exactly the failures that
#:                  scripts/test/stock-expected lists. KERNEL=fixes: with the first mails of the
#:                  series, the fixes; exactly those fail for which the list names no fix
#: DEBUG=kasan      a kernel that finds mistakes: KASAN, UBSAN, lockdep, debug objects, and
#:                  in kselftest kmemleak, 90 minutes; DEBUG=kcsan: data races, 25 minutes. With
#:                  KERNEL=stock, too. DEBUG=irqsoff is for make shell CMD=irqs-off ACCEL=icount:
#:                  for how long alloc_pid() has interrupts off. DEBUG=criu: that of make criu
#: KDIR=/path       your own Linux instead of Debian's; it is only read
#: ACCEL=kvm|tcg    default: KVM if a kernel was seen to boot under it
#: JOBS=n           default: all processors
#: TARGETS='...'    selftest directories; default: pidfd clone3 pid_namespace
#: TESTS='...'      for kselftest: names of test programs; any other word is a pattern of test
#:                  cases, to run only these: TESTS='set_tid_call_test row11*'; for mutants:
#:                  names of programs
#: SPLIT=i/n        for kselftest: the ith of n parts; together they are the whole
#: CHECKS='...'     for check: overlay refresh series configs upstream commands checkpatch kernel-doc
#:                  clang-format clang-tidy shellcheck robust shared-tests native native-sanitizers
#:                  native-count native-hold fuzz mutants bench-report linux-bugs gitignore spdx
#:                  command man-page; default: all
#: MUTANTS='...'    names in scripts/mutants/mutants.list; default: all; ONLY=native|kselftest
#: RUNS=n           for bench: boots of each kernel; default 5
#: TIMEOUT=seconds  for the guest; default 1800 (kasan: 10800, kcsan, criu: 7200)
#: MEM=megabytes    default 1024 (DEBUG, criu: 2048)
#: PID_MAX=n        kernel.pid_max of the guest, for kselftest, soak and shell: 301 to 4194304;
#:                  default: the kernel's, 32768

ifeq ($(LOCKED),)

# One make at a time: take build/.lock, then start again.
$(locked):
	@scripts/lib/with-lock $(MAKE) --no-print-directory $@

else

run: guest
	@scripts/vm/boot demo

kselftest: guest
	@scripts/test/kselftest

soak: guest
	@scripts/test/soak

native: tree
	@scripts/lib/install-packages check
	@scripts/test/native test tsan hold

fuzz: tree
	@scripts/lib/install-packages check
	@scripts/test/native fuzz SECONDS=$$((60 * MINUTES))

mutants: guest
	@scripts/lib/install-packages check
	@scripts/mutants/run

coverage: guest
	@VARIANT=gcov scripts/build/kernel
	@scripts/test/coverage

bench: tree
	@scripts/lib/install-packages bench
	@scripts/bench/run

# What is in the guest depends on GUEST, its kernel on VARIANT.
criu: export GUEST := criu
criu: export VARIANT := criu
criu: tree
	@$(if $(CRIU_SRC),scripts/lib/install-packages zdtm)
	@scripts/$(if $(CRIU_SRC),test/criu-suite build,build/criu)
	@scripts/build/kernel
	@scripts/build/selftests
	@scripts/build/initramfs
	@scripts/test/kselftest

guest: kernel
	@scripts/build/selftests
	@scripts/build/initramfs

kernel: tree
	@scripts/build/kernel

tree: setup
	@scripts/tree/fetch-base
	@scripts/tree/apply

refresh:
	@scripts/tree/refresh

series: tree
	@scripts/tree/series

branch: setup
	@scripts/tree/branch

# What is checked is the patched kernel, without DEBUG.
check: override KERNEL := patched
check: override DEBUG :=
check: kernel
	@scripts/lib/install-packages check
	@scripts/check/run

results:
	@scripts/test/publish
	@scripts/test/linux-bugs >results/linux-bugs.md

clean:
	rm -rf $(if $(KDIR),build/kdir,build)

endif

setup:
	@scripts/lib/install-packages

# The lock is for what is made: a shell may stay open.
shell:
	@scripts/lib/with-lock $(MAKE) --no-print-directory guest
	@NAME=shell scripts/vm/boot "$${CMD:-shell}"

set_tid:
	@scripts/build/set-tid-command build

install:
	@scripts/build/set-tid-command install

debug:
	@$(MAKE) --no-print-directory shell DEBUG=gdb
