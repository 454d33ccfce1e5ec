/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: a process in another PID namespace, for what shows only there.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP

#include "../clock.hpp"
#include "../fd.hpp"
#include "../process.hpp"
#include "../shared.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

/* Others may stop our processes, or make them wait. They need far less time. */
constexpr int inside_limit_ms = 5000;

/*
 * Without a pidfd, which a seccomp filter may hide like clone3(). limit_ms: 0 for none.
 * Returns 0 or an errno, ETIMEDOUT if the child is still there.
 */
inline int wait_for(pid_t child, int *status, int limit_ms = 0)
{
	const uint64_t end = now_ns() + uint64_t(limit_ms) * 1000000;

	for (;;) {
		const pid_t ended = waitpid(child, status, limit_ms ? WNOHANG : 0);

		if (ended > 0)
			return 0;
		if (ended < 0 && errno != EINTR)
			return errno;
		if (limit_ms && now_ns() > end)
			return ETIMEDOUT;
		if (!ended)
			usleep(100);
	}
}

/*
 * Runs fn() in a child, which is killed if that takes too long. It is fork(), which is
 * there where clone3() is not. Returns 0 or an errno.
 */
template <typename Fn> int run_and_wait(int limit_ms, Fn fn)
{
	const pid_t child = fork();

	if (child < 0)
		return errno;
	if (!child) {
		/* Whatever happens here, it does not go on as its parent. */
		try {
			fn();
		} catch (...) {
			_exit(1);
		}
		_exit(0);
	}
	const int error = wait_for(child, nullptr, limit_ms);
	if (error != ETIMEDOUT)
		return error;
	/* It ends even if it is stopped; a tracer may keep it as a zombie. */
	kill(child, SIGKILL);
	wait_for(child, nullptr, limit_ms);
	return error;
}

/*
 * Runs fn() in a process in a PID namespace. Returns what it returns, which is not
 * negative, or a negative errno: ESRCH if the namespace has lost its init. Whoever may
 * enter a namespace may not come back to his own: so it is a child that enters.
 */
template <typename Fn> long run_inside(const Fd &ns, Fn fn, int limit_ms = inside_limit_ms)
{
	const Shared<std::atomic<long>> result;

	*result = -ECHILD;
	int error = run_and_wait(3 * limit_ms, [&] {
		sigset_t all;

		/* It outlives its parent, so that nobody stays behind in the namespace. */
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, nullptr);
		if (setns(ns.get(), CLONE_NEWPID)) {
			*result = -errno;
			return;
		}
		if (const int error = run_and_wait(limit_ms, [&] {
			    die_with_parent();
			    *result = fn();
		    }))
			*result = error == ENOMEM ? -ESRCH : -error;
	});
	/* If there is memory here, it was not memory that was missing there. */
	if (!error && *result == -ESRCH)
		error = run_and_wait(limit_ms, [] {});
	return error ? -error : result->load();
}

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_INSIDE_HPP */
