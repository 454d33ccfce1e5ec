/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A clone3() call of the model test, and the memory that it points to.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALL_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALL_HPP

#include "../cgroup.hpp"
#include "../pids.hpp"
#include "../requirement.hpp"
#include "../stack.hpp"

#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <iterator>

namespace model
{
constexpr int max_requested = 33; /* PIDs in a request */

/* What the child does after its birth. */
enum class Role { leaves, sleeps, zombie, group, session, thread, init };

/* What set_tid points to. */
enum class Array { readable, missing, unmapped, half };

struct Call {
	Pids pids;
	Array array = Array::readable;
	uint64_t set_tid_size = 0; /* if not that of pids */
	uint64_t flags = 0;
	uint64_t exit_signal = SIGCHLD;
	size_t size = sizeof(clone_args);
	bool tail = false; /* a byte that is not 0 behind the known structure */
	bool bad_pidfd = false;
	int64_t cgroup = -1;
	bool stack_without_size = false;
	Role role = Role::leaves;
};

/* What a call points to: at the same addresses in an actor and in its worker. */
struct Memory {
	const size_t page = sysconf(_SC_PAGESIZE);
	char *half; /* two pages, of which the second has no access */
	pid_t pids[64];
	int pidfd = -1;

	Memory()
	{
		half = static_cast<char *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		mprotect(half + page, page, PROT_NONE);
	}
};

/* The structure for a call. */
inline clone_args arguments(const Call &c, Memory &memory, uint64_t stack)
{
	clone_args args = {};

	args.flags = c.flags;
	args.exit_signal = c.exit_signal;
	if (!c.pids.empty() || c.set_tid_size) {
		std::fill(std::begin(memory.pids), std::end(memory.pids), 1);
		std::copy(c.pids.begin(), c.pids.end(), memory.pids);
		args.set_tid = reinterpret_cast<uintptr_t>(memory.pids);
		args.set_tid_size = c.set_tid_size ? c.set_tid_size : c.pids.size();
	}
	switch (c.array) {
	case Array::readable:
		break;
	case Array::missing:
		/* One of the two is missing. For a size of 0 see draw_pids(). */
		args.set_tid = args.set_tid_size ? 0 : 1;
		break;
	case Array::unmapped:
		args.set_tid = ~0ULL;
		break;
	case Array::half:
		args.set_tid = reinterpret_cast<uintptr_t>(memory.half + memory.page) -
			       args.set_tid_size * sizeof(pid_t) + 1;
		break;
	}
	if (c.flags & CLONE_VM || c.stack_without_size) {
		args.stack = stack;
		args.stack_size = c.stack_without_size ? 0 : Stack::size;
	}
	if (c.flags & CLONE_PIDFD)
		args.pidfd = c.bad_pidfd ? ~0ULL - 7 : reinterpret_cast<uintptr_t>(&memory.pidfd);
	if (c.flags & CLONE_INTO_CGROUP)
		args.cgroup = c.cgroup;
	return args;
}

/* What the kernel sees of that: what is behind the size counts as 0. */
inline clone_args visible(const Call &c, const clone_args &args)
{
	clone_args seen = {};

	memcpy(&seen, &args, std::min(c.size, sizeof(args)));
	return seen;
}

/* The PIDs that it reads, if it gets so far. arguments() fills the array up with 1. */
inline Pids requested(const Call &c, const clone_args &seen)
{
	Pids pids;

	if (seen.set_tid && seen.set_tid_size <= max_requested) {
		pids = c.pids;
		pids.resize(seen.set_tid_size, 1);
	}
	return pids;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_CALL_HPP */
