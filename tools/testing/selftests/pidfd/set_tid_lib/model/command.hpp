/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model test as a command that runs for some time.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_COMMAND_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_COMMAND_HPP

#include <sys/random.h>

#include "alone.hpp"
#include "together.hpp"

namespace model
{
inline uint64_t new_seed()
{
	uint64_t seed = 0;

	getrandom(&seed, sizeof(seed), 0);
	return seed >> 32;
}

/* Who stops the command finds kernel.pid_max as it was. */
static char pid_max_saved[16];

inline void put_pid_max_back(int sig)
{
	const int fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);

	if (write(fd, pid_max_saved, strlen(pid_max_saved)) < 0)
		_exit(KSFT_FAIL);
	_exit(128 + sig);
}

/* As a command: one line of progress every ten seconds, and one at the end. */
inline int soak(double minutes, int workers, uint64_t seed)
{
	const uint64_t start = now_ns();
	const char *what = missing();
	double next = 10;

	if (!what && workers > 1)
		what = missing_for_workers();
	if (what) {
		fprintf(stderr, "set_tid_model_test: %s\n", what);
		return KSFT_SKIP;
	}
	snprintf(pid_max_saved, sizeof(pid_max_saved), "%ld", static_cast<long>(pid_max()));
	for (int sig : { SIGINT, SIGTERM, SIGHUP })
		signal(sig, put_pid_max_back);
	auto report = [&](const Totals &t) {
		const double seconds = seconds_since(start);

		printf("set_tid_model_test: %.0f s, seed %llu, workers %d: %ld calls (%.0f/s), %ld processes, %s\n",
		       seconds, (unsigned long long)seed, workers, t.calls, t.calls / seconds,
		       t.successes, t.mismatch.empty() ? "no mismatch" : "MISMATCH");
		fflush(stdout);
	};
	/* At once, if it is over: to cut the calls down takes its time. */
	auto progress = [&](const Totals &t) {
		if (seconds_since(start) < next && t.mismatch.empty())
			return;
		report(t);
		next += 10;
	};
	const Totals t = workers > 1 ? run_together(seed, minutes * 60, workers, progress) :
				       run_alone(seed, minutes * 60, progress);
	report(t);
	fputs(t.mismatch.c_str(), stdout);
	return t.mismatch.empty() ? KSFT_PASS : KSFT_FAIL;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_COMMAND_HPP */
