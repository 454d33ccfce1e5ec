/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: a process in another PID namespace, for what shows only there.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP

#include "../fd.hpp"
#include "../shared.hpp"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

/* Without a pidfd, which a seccomp filter may hide like clone3(). Returns 0 or an errno. */
inline int wait_for(pid_t child, int *status)
{
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/* Runs fn() in a child. It is fork(), which is there where clone3() is not. */
template <typename Fn> int run_and_wait(Fn fn)
{
	const pid_t child = fork();

	if (child < 0)
		return errno;
	if (!child) {
		fn();
		_exit(0);
	}
	return wait_for(child, nullptr);
}

/*
 * Runs fn() in a process in a PID namespace. Returns what it returns, which is not
 * negative, or a negative errno. Whoever may enter a namespace may not come back to his
 * own: so it is a child that enters.
 */
template <typename Fn> long run_inside(const Fd &ns, Fn fn)
{
	const Shared<std::atomic<long>> result;

	*result = -ECHILD;
	const int error = run_and_wait([&] {
		if (setns(ns.get(), CLONE_NEWPID)) {
			*result = -errno;
			return;
		}
		if (const int error = run_and_wait([&] { *result = fn(); }))
			*result = -error;
	});
	return error ? -error : result->load();
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP */
