/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run one worker that has its namespaces to itself.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ALONE_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ALONE_HPP

#include "shrink.hpp"
#include "../clock.hpp"
#include "../pids.hpp"
#include "../shared.hpp"

#include <stdint.h>
#include <sys/types.h>

#include <string>

namespace model
{
/* Adds the outcome of a plan to the totals. */
inline void add(Totals &totals, const Outcome &outcome)
{
	totals.calls += outcome.calls;
	totals.successes += outcome.successes;
	totals.disturbed += outcome.disturbed;
	totals.runs++;
}

/* Cuts the plan down and returns the report. */
inline std::string report_mismatch(const Plan &plan, uint64_t seed, Outcome &outcome)
{
	const Plan few = Shrinker(plan, outcome, 30).shrink();
	size_t left = 0;

	for (const Batch &batch : few.batches)
		left += batch.calls.size();
	return "seed " + std::to_string(seed) + ", cut down to " + std::to_string(left) +
	       " calls:\n" + outcome.text;
}

/* Carries out plans for a time. Their seeds follow from one another. */
inline Totals run_alone(uint64_t seed, double seconds, const Progress &progress)
{
	const Shared<Outcome> outcome;
	Totals totals;
	const uint64_t start = now_ns();

	do {
		const Plan plan = draw_plan(seed, 40);

		carry_out(plan, *outcome, hangs_after_ms());
		add(totals, *outcome);
		if (outcome->mismatch) {
			totals.mismatch = outcome->text;
			progress(totals);
			totals.mismatch = report_mismatch(plan, seed, *outcome);
			break;
		}
		seed = Random(seed).next();
		progress(totals);
	} while (seconds_since(start) < seconds ||
		 (totals.disturbed == totals.runs && totals.runs < 3));
	/* Others may get in the way at level 0, but not as a rule. */
	if (totals.mismatch.empty() &&
	    (totals.disturbed > 2 + totals.runs / 10 || totals.disturbed == totals.runs))
		totals.mismatch = "others have used PIDs of level 0 in " +
				  std::to_string(totals.disturbed) + " of " +
				  std::to_string(totals.runs) + " runs\n";
	return totals;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ALONE_HPP */
