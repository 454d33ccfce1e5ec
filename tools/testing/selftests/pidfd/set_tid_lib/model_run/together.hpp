/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run several workers that share their namespaces.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_TOGETHER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_TOGETHER_HPP

#include "run.hpp"
#include "../clock.hpp"
#include "../errno.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../shared.hpp"
#include "../spawn.hpp"

#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace model
{
/* Where each worker's PIDs are, and those that all request. */
constexpr pid_t sequence_end = 3000, contended_from = 15000, own_from = 16000;
constexpr int own_count = 1000, max_workers = 16;

/* Keeps the automatic PIDs of a namespace below those that the workers request. */
inline int keep_sequence_low(const Shared<Table> &table)
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

class Together {
public:
	Together(uint64_t seed, int workers)
		: seed_(seed), workers_(workers), random_(seed), model_(new_model()),
		  world_(model_, random_, false)
	{
		model_.shares.contended = contended_from;
		model_.shares.contended_count = max_contended;
		model_.shares.own_count = own_count;
	}
	Together(const Together &) = delete;

	Totals run(double seconds, const Progress &progress)
	{
		if (!world_.error().empty()) {
			totals_.mismatch = world_.error() + "\n";
			return totals_;
		}
		if (!start_keepers())
			return totals_;
		hold_pids_of_others();
		for (int i = 0; i < workers_; i++)
			start_worker(i);
		/* The wait for the first to end paces the progress. */
		while (!table_->stop && seconds_since(start_) < seconds) {
			if (exits_within(runners_[0], 200))
				break;
			count();
			progress(totals_);
		}
		stop();
		count();
		totals_.runs = 1;
		/* Others may get in the way at level 0, but not as a rule. */
		if (totals_.mismatch.empty() && totals_.disturbed > 2 + totals_.calls / 1000)
			totals_.mismatch = "others have used PIDs of level 0 in " +
					   std::to_string(totals_.disturbed) + " of " +
					   std::to_string(totals_.calls) + " calls\n";
		return totals_;
	}

private:
	bool start_keepers()
	{
		for (size_t space = 0; space < model_.spaces.size(); space++) {
			model_.spaces[space].last.clear();
			Spawned keeper =
				world_.run_in(space, [&] { return keep_sequence_low(table_); });

			if (keeper.error) {
				totals_.mismatch = std::string("cannot keep a sequence low: ") +
						   errno_name(keeper.error) + "\n";
				return false;
			}
			keepers_.push_back(std::move(keeper.child));
		}
		return true;
	}

	/* Processes that have come here before may have PIDs that the workers request. */
	void hold_pids_of_others()
	{
		if (last_pid() > sequence_end)
			set_last_pid(reserved);
		for (pid_t pid : pids_in_use()) {
			if (pid >= contended_from)
				model_.spaces[0].held[pid]++;
		}
	}

	void start_worker(int i)
	{
		const uint64_t seed = random_.next();

		model_.shares.own = own_from + i * own_count;
		runners_.push_back(run_in_child([&] { return work(i, seed); }).child);
	}
	/* What a worker does; one that finds a mismatch stops all. */
	int work(int i, uint64_t seed) const
	{
		Outcome &outcome = outcomes_->of[i];
		Random random(seed);
		Worker worker(model_, world_, outcome, &*table_, i);

		while (!table_->stop) {
			const Plan plan = draw_plan(random.next(), 1);
			const long disturbed = outcome.disturbed;

			if (!worker.run(plan.batches[0]) && disturbed == outcome.disturbed) {
				table_->stop = true;
				return 1;
			}
		}
		return 0;
	}

	void stop()
	{
		table_->stop = true;
		const uint64_t stopped = now_ns();

		for (int i = 0; i < workers_; i++) {
			const int left_ms = hangs_after_ms() - int(seconds_since(stopped) * 1000);

			if (!exits_within(runners_[i], std::max(left_ms, 0))) {
				totals_.mismatch += "worker " + std::to_string(i) + " hangs\n";
				/* Its children would keep the namespaces from ending. */
				runners_[i].end();
				continue;
			}
			const ExitStatus status = runners_[i].wait();
			if (status.code)
				totals_.mismatch += "seed " + std::to_string(seed_) + ", worker " +
						    std::to_string(i) + ", ended with " +
						    std::to_string(status.code) + ", signal " +
						    std::to_string(status.signal) + ":\n" +
						    outcomes_->of[i].text;
		}
		for (Child &keeper : keepers_)
			keeper.wait();
	}

	void count()
	{
		totals_.calls = totals_.successes = totals_.disturbed = 0;
		for (int i = 0; i < workers_; i++) {
			totals_.calls += outcomes_->of[i].calls;
			totals_.successes += outcomes_->of[i].successes;
			totals_.disturbed += outcomes_->of[i].disturbed;
		}
	}

	struct Outcomes {
		Outcome of[max_workers];
	};

	const uint64_t start_ = now_ns();
	const uint64_t seed_;
	const int workers_;
	Random random_;
	Model model_;
	const World world_;
	const Shared<Outcomes> outcomes_;
	const Shared<Table> table_;
	Totals totals_;
	/* They end before the namespaces do. */
	std::vector<Child> keepers_, runners_;
};

/* Has several workers make calls in the same namespaces for a time. */
inline Totals run_together(uint64_t seed, double seconds, int workers, const Progress &progress)
{
	return Together(seed, workers).run(seconds, progress);
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_TOGETHER_HPP */
