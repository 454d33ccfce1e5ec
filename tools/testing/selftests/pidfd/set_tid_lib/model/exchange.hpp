/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the processes of a run tell each other in shared memory.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_EXCHANGE_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_EXCHANGE_HPP

#include "call.hpp"
#include "generator.hpp"

namespace model
{
/* What a child says of itself: its PIDs, innermost first. */
struct Report {
	std::atomic<int> count = 0;
	pid_t pids[max_requested] = {};

	Pids get() const { return Pids(pids, pids + std::max(count.load(), 0)); }
	/* Makes bare system calls only: for children that share memory. */
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

struct Result {
	long ret;
	Report child, member;
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

/* Who holds a PID that several ask for. */
struct Contended {
	std::atomic<int> asking, successes;
};

constexpr int max_spaces = 16, max_contended = 8, table_size = 32768;

struct Table {
	std::atomic<uint8_t> holder[max_spaces][table_size];
	Contended contended[max_spaces][max_contended];
	std::atomic<bool> stop;
};

/* What came of a plan; shared between who carries it out and who asked for it. */
struct Outcome {
	std::atomic<bool> mismatch;
	std::atomic<long> calls, successes, disturbed;
	std::atomic<int> batches, last_calls; /* begun; of the last one */
	char text[32768];

	void add(const std::string &line)
	{
		const size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "# %s\n", line.c_str());
	}
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_EXCHANGE_HPP */
