/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Several workers that share their namespaces.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_TOGETHER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_TOGETHER_HPP

#include "run.hpp"

namespace model
{
/* Where each worker's PIDs are, and those that all ask for. */
constexpr pid_t sequence_end = 3000, contended_from = 15000, own_from = 16000;
constexpr int own_count = 1000, max_workers = 16;

/* Keeps the automatic PIDs of a namespace away from those that are asked for. */
inline int lead_sequence(const Shared<Table> &table)
{
	while (!table->stop) {
		if (last_pid() > sequence_end)
			set_last_pid(reserved);
		usleep(20000);
	}
	return 0;
}

inline const char *missing_for_workers()
{
	return pid_max() < own_from + own_count * max_workers || pid_max() > table_size ?
		       "needs a kernel.pid_max of 32768" :
		       nullptr;
}

/* Several workers in the same namespaces. */
inline Totals run_together(uint64_t seed, double seconds, int workers, const Progress &progress)
{
	struct Outcomes {
		Outcome of[max_workers];
	};
	const Shared<Outcomes> outcomes;
	const Shared<Table> table;
	Random random(seed);
	Model m = new_model();
	Totals totals;
	const uint64_t start = now_ns();

	const World world(m, random, false);
	if (!world.error().empty()) {
		totals.mismatch = world.error() + "\n";
		return totals;
	}
	/* They end before the namespaces do. */
	std::vector<Child> keepers, runners;

	m.shares.contended = contended_from;
	m.shares.contended_count = max_contended;
	m.shares.own_count = own_count;
	for (size_t space = 0; space < m.spaces.size(); space++) {
		m.spaces[space].last.clear();
		Spawned keeper = world.run_in(space, [&] { return lead_sequence(table); });

		if (keeper.error) {
			totals.mismatch = std::string("cannot keep a sequence low: ") +
					  errno_name(keeper.error) + "\n";
			return totals;
		}
		keepers.push_back(std::move(keeper.child));
	}
	/* Somebody who has come here before may be in the way. */
	if (last_pid() > sequence_end)
		set_last_pid(reserved);
	for (pid_t pid : pids_in_use()) {
		if (pid >= contended_from)
			m.spaces[0].held[pid]++;
	}
	for (int i = 0; i < workers; i++) {
		m.shares.own = own_from + i * own_count;
		const uint64_t own_seed = random.next();

		auto body = [&] {
			Random own(own_seed);
			Worker worker(m, world, outcomes->of[i], &*table, i);

			while (!table->stop) {
				const Plan plan = draw_plan(own.next(), 1);

				const long disturbed = outcomes->of[i].disturbed;
				if (!worker.run(plan.batches[0]) &&
				    disturbed == outcomes->of[i].disturbed) {
					table->stop = true;
					return 1;
				}
			}
			return 0;
		};
		runners.push_back(run_in_child(body).child);
	}
	auto count = [&] {
		totals.calls = totals.successes = totals.disturbed = 0;
		for (int i = 0; i < workers; i++) {
			totals.calls += outcomes->of[i].calls;
			totals.successes += outcomes->of[i].successes;
			totals.disturbed += outcomes->of[i].disturbed;
		}
	};
	/* The wait for the first to end paces the progress. */
	while (!table->stop && seconds_since(start) < seconds) {
		if (exits_within(runners[0], 200))
			break;
		count();
		progress(totals);
	}
	table->stop = true;
	const uint64_t stopped = now_ns();
	for (int i = 0; i < workers; i++) {
		const int left_ms = hangs_after_ms() - int(seconds_since(stopped) * 1000);

		if (!exits_within(runners[i], std::max(left_ms, 0))) {
			totals.mismatch += "worker " + std::to_string(i) + " hangs\n";
			/* What it holds would keep the namespaces from ending. */
			runners[i].end();
			continue;
		}
		const ExitStatus status = runners[i].wait();
		if (status.code)
			totals.mismatch +=
				"seed " + std::to_string(seed) + ", worker " + std::to_string(i) +
				", ended with " + std::to_string(status.code) + ", signal " +
				std::to_string(status.signal) + ":\n" + outcomes->of[i].text;
	}
	for (Child &keeper : keepers)
		keeper.wait();
	count();
	totals.runs = 1;
	/* Others may get in the way at level 0, but not as a rule. */
	if (totals.mismatch.empty() && totals.disturbed > 2 + totals.calls / 1000)
		totals.mismatch = "others have used PIDs of level 0 in " +
				  std::to_string(totals.disturbed) + " of " +
				  std::to_string(totals.calls) + " calls\n";
	return totals;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_TOGETHER_HPP */
