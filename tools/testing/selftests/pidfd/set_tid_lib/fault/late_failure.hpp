/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ways to make a call fail after it has claimed its PIDs, or shortly before.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LATE_FAILURE_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LATE_FAILURE_HPP

#include "../cgroup.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../spawn.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <functional>
#include <vector>

/* One such way: the call must fail with this errno. */
struct LateFailure {
	const char *what;
	int error;
	std::function<int(const Pids &)> call;
	bool claims = true; /* before it fails */
};

inline int fail_at_pidfd_pointer(const Pids &pids)
{
	Request request;

	request.flags(CLONE_PIDFD).raw().pidfd = ~0ULL - 7;
	return request.pids(pids).attempt();
}

inline int fail_at_read_only_pidfd(const Pids &pids)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *mem = mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	Request request;

	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(mem);
	const int error = request.pids(pids).attempt();
	munmap(mem, page);
	return error;
}

inline int fail_without_descriptor(const Pids &pids)
{
	struct rlimit limit, none;
	Request request;
	int pidfd, error;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = { 0, limit.rlim_max };
	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	setrlimit(RLIMIT_NOFILE, &none);
	error = request.pids(pids).attempt();
	setrlimit(RLIMIT_NOFILE, &limit);
	return error;
}

inline int fail_without_cgroup(const Pids &pids)
{
	Request request;

	request.flags(CLONE_INTO_CGROUP).raw().cgroup = INT32_MAX;
	return request.pids(pids).attempt();
}

/* The descriptor is valid, but no cgroup. */
inline int fail_with_a_file_for_a_cgroup(const Pids &pids)
{
	const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));

	return Request{}.into_cgroup(null).pids(pids).attempt();
}

/* The kernel checks this limit before it allocates a PID. */
inline int fail_at_process_limit(const Pids &pids)
{
	constexpr uid_t user = 65533;
	struct rlimit limit, none;
	int error;

	getrlimit(RLIMIT_NPROC, &limit);
	none = { 0, limit.rlim_max };
	setrlimit(RLIMIT_NPROC, &none);
	if (setresuid(user, user, 0))
		return errno;
	error = Request{}.pids(pids).attempt();
	if (setresuid(0, 0, 0))
		abort();
	die_with_parent();
	setrlimit(RLIMIT_NPROC, &limit);
	return error;
}

inline std::vector<LateFailure> late_failures(const Cgroup &full)
{
	return {
		{ "bad pointer for the pidfd", EFAULT, fail_at_pidfd_pointer },
		{ "pointer for the pidfd that cannot be written", EFAULT, fail_at_read_only_pidfd },
		{ "no descriptor left for the pidfd", EMFILE, fail_without_descriptor },
		{ "no such cgroup", EBADF, fail_without_cgroup },
		{ "a cgroup that is none", EBADF, fail_with_a_file_for_a_cgroup },
		{ "pids cgroup is full", EAGAIN,
		  [&](const Pids &pids) {
			  return Request{}.into_cgroup(full.dir()).pids(pids).attempt();
		  } },
		{ "RLIMIT_NPROC", EAGAIN, fail_at_process_limit, false },
	};
}

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LATE_FAILURE_HPP */
