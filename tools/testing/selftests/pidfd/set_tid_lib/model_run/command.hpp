/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model test as a command that runs for a given time.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_COMMAND_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_COMMAND_HPP

#include "../../../kselftest.h"
#include "alone.hpp"
#include "together.hpp"
#include "../clock.hpp"
#include "../proc.hpp"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <optional>

namespace model
{
inline uint64_t new_seed()
{
	uint64_t seed = 0;

	getrandom(&seed, sizeof(seed), 0);
	return seed >> 32;
}

struct Options {
	double minutes = -1;
	int workers = 1;
	uint64_t seed = number_from("SET_TID_MODEL_SEED", new_seed());
};

/* Reads one option's number; false if it is none, or out of range. */
inline bool set_option(Options &options, int name, const char *value)
{
	char *end = nullptr;

	switch (name) {
	case 'm':
		options.minutes = strtod(value, &end);
		break;
	case 'w':
		options.workers = strtol(value, &end, 10);
		break;
	case 's':
		options.seed = strtoull(value, &end, 0);
		break;
	}
	return end && *value && !*end && options.workers >= 1 && options.workers <= max_workers;
}

/* Prints the usage and returns nothing if the command line is wrong. */
inline std::optional<Options> parse_options(int argc, char **argv)
{
	static const option known[] = { { "minutes", required_argument, nullptr, 'm' },
					{ "workers", required_argument, nullptr, 'w' },
					{ "seed", required_argument, nullptr, 's' },
					{} };
	Options options;
	bool right = true;

	opterr = 0;
	for (int name; right && (name = getopt_long(argc, argv, "", known, nullptr)) >= 0;)
		right = set_option(options, name, optarg);
	if (right && optind == argc && options.minutes >= 0)
		return options;
	fprintf(stderr, "usage: %s --minutes N [--workers 1..%d] [--seed S], or as a test: %s -h\n",
		argv[0], max_workers, argv[0]);
	return {};
}

/* For the signal handler: what to restore if the command is stopped. */
inline char pid_max_saved[16];

inline void restore_pid_max(int sig)
{
	const int fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);

	if (write(fd, pid_max_saved, strlen(pid_max_saved)) < 0)
		_exit(KSFT_FAIL);
	_exit(128 + sig);
}

inline void restore_pid_max_when_stopped()
{
	snprintf(pid_max_saved, sizeof(pid_max_saved), "%ld", static_cast<long>(pid_max()));
	for (int sig : { SIGINT, SIGTERM, SIGHUP })
		signal(sig, restore_pid_max);
}

/* Prints a line of progress every ten seconds, and one at the end. */
class Reporter {
public:
	explicit Reporter(const Options &options) : options_(options) {}

	void print(const Totals &t) const
	{
		const double seconds = seconds_since(start_);

		printf("set_tid_model_test: %.0f s, seed %llu, workers %d: %ld calls (%.0f/s), %ld processes, %s\n",
		       seconds, (unsigned long long)options_.seed, options_.workers, t.calls,
		       t.calls / seconds, t.successes,
		       t.mismatch.empty() ? "no mismatch" : "MISMATCH");
		fflush(stdout);
	}
	void progress(const Totals &t)
	{
		/* A mismatch at once: it takes time to cut the calls down. */
		if (seconds_since(start_) < next_ && t.mismatch.empty())
			return;
		print(t);
		next_ += 10;
	}

private:
	const Options options_;
	const uint64_t start_ = now_ns();
	double next_ = 10;
};

/* Returns the exit status. */
inline int soak(const Options &options)
{
	Reporter reporter(options);
	const char *what = missing();

	if (!what && options.workers > 1)
		what = missing_for_workers();
	if (what) {
		fprintf(stderr, "set_tid_model_test: %s\n", what);
		return KSFT_SKIP;
	}
	restore_pid_max_when_stopped();
	const double seconds = options.minutes * 60;
	auto progress = [&](const Totals &t) { reporter.progress(t); };
	const Totals t = options.workers > 1 ?
				 run_together(options.seed, seconds, options.workers, progress) :
				 run_alone(options.seed, seconds, progress);
	reporter.print(t);
	fputs(t.mismatch.c_str(), stdout);
	return t.mismatch.empty() ? KSFT_PASS : KSFT_FAIL;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_COMMAND_HPP */
