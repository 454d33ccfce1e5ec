/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command set_tid: what its processes share.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_OUTCOME_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_OUTCOME_HPP

#include "../shared.hpp"

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

/* Closed at first; once open, it lets everybody pass. */
class Gate {
public:
	void wait() const
	{
		while (!*state_)
			futex(FUTEX_WAIT, 0);
	}
	void open() const
	{
		*state_ = 1;
		futex(FUTEX_WAKE, INT32_MAX);
	}

private:
	void futex(int op, int value) const
	{
		syscall(__NR_futex, &*state_, op, value, nullptr, nullptr, 0);
	}

	Shared<std::atomic<int>> state_;
};

/* What came of the call that the helper made. */
struct Outcome {
	int error = 0; /* of clone3() */
	int user_error = 0; /* of becoming the user */
	int pidfd = -1;
	uint64_t call_ns = 0;
	/* kernel.pid_max of the helper's namespace: since Linux 6.14 each has its own. */
	long pid_max = -1;
	/* How many PIDs, innermost first, it takes to get that error, or -1. */
	int culprits = -1;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_OUTCOME_HPP */
