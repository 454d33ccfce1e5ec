/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a run does, as seeds: the same plan makes the same run, and a part of a
 * plan is a plan.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_PLAN_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_PLAN_HPP

#include "random.hpp"

#include <stdint.h>

#include <utility>
#include <vector>

namespace model
{
constexpr int batch_calls = 48;

/* One actor's calls; each has a seed of its own, so that any can be left out. */
struct Batch {
	uint64_t seed;
	std::vector<uint64_t> calls;
};

struct Plan {
	uint64_t world; /* the seed of the namespaces */
	bool deep;
	std::vector<Batch> batches;
};

inline Plan draw_plan(uint64_t seed, int batches)
{
	Random random(seed);
	Plan plan = { random.next(), random.percent(8), {} };

	for (int i = 0; i < batches; i++) {
		Batch batch = { random.next(), {} };
		const int calls = 8 + random.below(batch_calls - 7);

		for (int k = 0; k < calls; k++)
			batch.calls.push_back(random.next());
		plan.batches.push_back(std::move(batch));
	}
	return plan;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_PLAN_HPP */
