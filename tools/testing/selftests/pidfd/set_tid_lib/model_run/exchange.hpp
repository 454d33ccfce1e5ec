/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory: between a child and its creator, between an actor and its worker,
 * and between the workers.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_EXCHANGE_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_EXCHANGE_HPP

#include "../model/call.hpp"
#include "../model/plan.hpp"
#include "../pids.hpp"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace model
{
/* The PIDs of a child, innermost first, as it reads them itself. */
struct Report {
	std::atomic<int> count = 0;
	pid_t pids[max_requested] = {};

	Pids get() const { return Pids(pids, pids + std::max(count.load(), 0)); }
	/* Bare system calls only: the child may share the memory of its creator. */
	void fill()
	{
		char text[2048];
		const int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
		const ssize_t size = read(fd, text, sizeof(text) - 1);
		int n = 0;

		close(fd);
		text[std::max<ssize_t>(size, 0)] = 0;
		const char *at = strstr(text, "\nNSpid:");
		pid_t outer[max_requested + 1];
		for (at = at ? at + 7 : ""; *at == '\t' && n < max_requested; n++) {
			int pid = 0;

			for (at++; *at >= '0' && *at <= '9'; at++)
				pid = pid * 10 + *at - '0';
			outer[n] = pid;
		}
		for (int i = 0; i < n; i++)
			pids[i] = outer[n - 1 - i];
		count = n ? n : -1;
	}
};

/* What comes of a call. */
struct Result {
	long ret; /* of clone3() */
	Report child, member; /* the child, and the member of the group that it leaves behind */
	std::atomic<int> go; /* the thread may leave */
};

/* Between an actor and its worker. */
struct Exchange {
	Result results[batch_calls];
	std::atomic<int> done; /* so many calls */
	std::atomic<bool> ready;
	std::atomic<pid_t> start; /* with this pid_max */
	char wrong[160];
};

/* How many callers request a PID that several may have, and how many have had it. */
struct Contended {
	std::atomic<int> asking, successes;
};

constexpr int max_spaces = 16, max_contended = 8, table_size = 32768;

/* Between the workers: who has which PID in which namespace. */
struct Table {
	std::atomic<uint8_t> holder[max_spaces][table_size];
	Contended contended[max_spaces][max_contended];
	std::atomic<bool> stop;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_EXCHANGE_HPP */
