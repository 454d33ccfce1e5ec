/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that are held while they exit.
 */
#ifndef SET_TID_LIB_HELD_AT_EXIT_HPP
#define SET_TID_LIB_HELD_AT_EXIT_HPP

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <utility>

#include "process.hpp"

/*
 * An init that is about to be killed. It is held at the last moment before its own
 * namespace is marked as dead, until the end of the scope.
 */
class HeldAtExit {
public:
	explicit HeldAtExit(const Child &init) : pid_(init.pid())
	{
		if (ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACEEXIT))
			error_ = errno;
	}
	HeldAtExit(HeldAtExit &&other) noexcept
		: pid_(std::exchange(other.pid_, 0)), error_(other.error_)
	{
	}
	~HeldAtExit() { release(); }
	int error() const { return error_; }

	/* Waits until that moment has come. */
	int wait() const
	{
		int status = 0;

		if (waitpid(pid_, &status, __WALL) != pid_)
			return errno;
		return status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8) ? 0 : ECHILD;
	}
	void release()
	{
		if (pid_)
			ptrace(PTRACE_DETACH, std::exchange(pid_, 0), nullptr, nullptr);
	}

private:
	pid_t pid_;
	int error_ = 0;
};

#endif /* SET_TID_LIB_HELD_AT_EXIT_HPP */
