/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the model test must know of the machine that it runs on.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_MACHINE_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_MACHINE_HPP

#include "../model/model.hpp"
#include "../cgroup.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../syscall.hpp"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <set>
#include <string>

namespace model
{
/* The entries of a directory that are numbers. */
inline std::set<pid_t> numbers_in(const std::string &path)
{
	Pids numbers;

	::numbers_in(path, numbers);
	return { numbers.begin(), numbers.end() };
}

/* The PIDs in use: of processes, threads, process groups and sessions. */
inline std::set<pid_t> pids_in_use()
{
	std::set<pid_t> pids;

	for (pid_t pid : numbers_in("/proc")) {
		pids.merge(numbers_in("/proc/" + std::to_string(pid) + "/task"));
		for (pid_t lead : { getpgid(pid), getsid(pid) }) {
			if (lead > 0)
				pids.insert(lead);
		}
	}
	return pids;
}

/* A model of the machine as it is, before the namespaces of a run. */
inline Model new_model()
{
	Model m;

	m.pid_max = pid_max();
	m.foreign = pids_in_use();
	m.cgroups = !access("/proc/self/cgroup", F_OK);
	/* An array that cannot be read is refused in between. */
	const clone_args probe = { .exit_signal = 255, .set_tid = 1, .set_tid_size = 1 };
	m.signal_with_flags = sys_clone3(&probe, sizeof(probe)) == -EFAULT;
	return m;
}

/* What the model test lacks here, or a null pointer. */
inline const char *missing()
{
	for (auto what : { need::root, need::pid_ns, need::initial_pid_ns, need::ns_last_pid }) {
		if (const char *text = what())
			return text;
	}
	return pid_max() < 8000 ? "needs a kernel.pid_max of 8000" : nullptr;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_MACHINE_HPP */
