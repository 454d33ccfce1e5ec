/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: the PID namespace that it is about.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_TARGET_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_TARGET_HPP

#include "failure.hpp"
#include "options.hpp"
#include "tasks.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../process.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

/* The process of --enter, as a pidfd, which setns() takes since Linux 5.8. */
inline Fd open_namespace_of(pid_t pid)
{
	Fd pidfd(syscall(__NR_pidfd_open, pid, 0));

	if (!pidfd.valid()) {
		const int error = errno;
		const char *why = error == ESRCH ? "there is no such process" :
				  error == EINVAL || error == ENOENT ?
						   "this is a thread, not a process" :
						   "cannot open the process";

		fail("--enter " + std::to_string(pid) + ": " + why, error);
	}
	return pidfd;
}

/* The PID namespace of that process itself, and its level. Any Linux since 5.5 has it. */
inline Fd open_pid_ns_of(pid_t pid, int &level)
{
	const Fd pidfd = open_namespace_of(pid);
	const Pids pids = nspids(pidfd);

	if (pids.empty())
		fail("cannot read PIDs: is /proc mounted?");
	/* /proc may be that of another namespace than the caller's. */
	Fd ns(open(("/proc/" + std::to_string(pids.back()) + "/ns/pid").c_str(),
		   O_RDONLY | O_CLOEXEC));
	const int error = ns.valid() ? 0 : errno;
	/* If not, that was not the namespace of another process with the same PID. */
	if (exits_within(pidfd, 0))
		fail("--enter " + std::to_string(pid) + ": the process has ended", ESRCH);
	if (error)
		fail("--enter " + std::to_string(pid) + ": cannot open its PID namespace", error);
	level = static_cast<int>(pids.size()) - 1;
	return ns;
}

/* The caller's own, and its level. */
inline Fd open_own_pid_ns(int &level)
{
	Fd ns(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));

	level = static_cast<int>(nspids_of_self().size()) - 1;
	if (!ns.valid() || level < 0)
		fail("cannot read PIDs: is /proc mounted, and that of this PID namespace?");
	if (ns_number(ns) != own_ns_number("pid_for_children"))
		fail("the caller's children are in another PID namespace than the caller: "
		     "--enter one of them");
	return ns;
}

inline Fd open_target(const Options &options, int &level)
{
	return options.enter ? open_pid_ns_of(*options.enter, level) : open_own_pid_ns(level);
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_TARGET_HPP */
