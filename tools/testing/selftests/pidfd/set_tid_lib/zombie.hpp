/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children that cost little, for many calls in a short time.
 */
#ifndef SET_TID_LIB_ZOMBIE_HPP
#define SET_TID_LIB_ZOMBIE_HPP

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pids.hpp"
#include "request.hpp"
#include "stack.hpp"
#include "syscall.hpp"

/*
 * A child that shares its creator's memory and exits at once. It keeps its PIDs, as
 * a zombie, until it is reaped.
 */
class Zombie {
public:
	/* Returns the PID, or -errno. */
	long create(const Pids &pids)
	{
		Request request = Request{}.pids(pids).flags(CLONE_VM | CLONE_FS | CLONE_FILES);

		request.raw().stack = stack_.base();
		request.raw().stack_size = Stack::size;
		const clone_args args = request.args();
		pid_ = sys_clone3_on_stack(
			&args, sizeof(args), [](void *) { return 0; }, nullptr);
		if (pid_ == -ENOSYS) {
			const clone_args copy = Request{}.pids(pids).args();

			pid_ = sys_clone3(&copy, sizeof(copy));
			if (!pid_)
				_exit(0);
		}
		return pid_;
	}
	/* All but the reaping. */
	void wait_for_exit() const
	{
		siginfo_t info;

		while (pid_ > 0 && waitid(P_PID, pid_, &info, WEXITED | WNOWAIT | __WALL) &&
		       errno == EINTR)
			;
	}
	void reap()
	{
		while (pid_ > 0 && waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR)
			;
		pid_ = 0;
	}

	/* Creates and reaps. Returns an errno or 0. */
	int attempt(const Pids &pids)
	{
		const long pid = create(pids);

		reap();
		return pid < 0 ? -pid : 0;
	}

private:
	Stack stack_;
	long pid_ = 0;
};

#endif /* SET_TID_LIB_ZOMBIE_HPP */
