/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Carries out one plan.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_RUN_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_RUN_HPP

#include "../model/plan.hpp"
#include "machine.hpp"
#include "worker.hpp"
#include "../clock.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../spawn.hpp"
#include "../sysctl.hpp"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <utility>

namespace model
{
/* A number in the environment. */
inline uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

inline double seconds_since(uint64_t start_ns)
{
	return (now_ns() - start_ns) / 1e9;
}

/* A run that takes longer hangs. There is time for a hang in each of the two tests. */
inline int hangs_after_ms()
{
	return number_from("kselftest_timeout", 300) * 1000 / 3;
}

/* Carries out a plan. Returns the exit status for the process. */
inline int carry_out_here(const Plan &plan, Outcome &outcome)
{
	Random random(plan.world);
	Model m = new_model();
	const World world(m, random, plan.deep);

	if (!world.error().empty()) {
		outcome.add(world.error());
		outcome.mismatch = true;
		return 1;
	}
	Worker worker(std::move(m), world, outcome, nullptr, 0);
	for (const Batch &batch : plan.batches) {
		++outcome.batches;
		if (!worker.run(batch))
			break;
	}
	return 0;
}

/* Carries out a plan in a process of its own, and restores kernel.pid_max. */
inline void carry_out(const Plan &plan, Outcome &outcome, int within_ms)
{
	Sysctl pid_max("kernel/pid_max");

	memset(static_cast<void *>(&outcome), 0, sizeof(outcome));
	Spawned runner = run_in_child([&] { return carry_out_here(plan, outcome); });

	if (!exits_within(runner.child, within_ms)) {
		outcome.add("mismatch: it hangs");
		outcome.mismatch = true;
	} else if (runner.child.wait().signal) {
		outcome.add("mismatch: a worker was killed");
		outcome.mismatch = true;
	}
	pid_max.set(pid_max.saved());
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_RUN_HPP */
