/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The result of a run, and the report of a mismatch.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_OUTCOME_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_OUTCOME_HPP

#include <stdio.h>
#include <string.h>

#include <atomic>
#include <functional>
#include <string>

namespace model
{
/* The result of a plan, in memory that the process which carries it out shares. */
struct Outcome {
	std::atomic<bool> mismatch;
	std::atomic<long> calls, successes, disturbed;
	std::atomic<int> batches, last_calls; /* batches begun; calls of the last one */
	char text[32768];

	void add(const std::string &line)
	{
		const size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "# %s\n", line.c_str());
	}
};

/* The results of all plans so far. */
struct Totals {
	long calls = 0, successes = 0;
	int runs = 0, disturbed = 0;
	std::string mismatch;
};

using Progress = std::function<void(const Totals &)>;

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_OUTCOME_HPP */
