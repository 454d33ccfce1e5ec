/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Carry out a plan.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_HPP

#include <dirent.h>

#include "worker.hpp"

namespace model
{
inline std::set<pid_t> numbers_in(const std::string &path)
{
	std::set<pid_t> numbers;
	DIR *dir = opendir(path.c_str());

	while (const dirent *entry = dir ? readdir(dir) : nullptr) {
		if (const pid_t number = atoi(entry->d_name))
			numbers.insert(number);
	}
	if (dir)
		closedir(dir);
	return numbers;
}

/* The PIDs in use: of processes, threads, process groups and sessions. */
inline std::set<pid_t> pids_in_use()
{
	std::set<pid_t> pids;

	for (pid_t pid : numbers_in("/proc")) {
		pids.merge(numbers_in("/proc/" + std::to_string(pid) + "/task"));
		for (pid_t lead : { getpgid(pid), getsid(pid) }) {
			if (lead > 0)
				pids.insert(lead);
		}
	}
	return pids;
}

inline Model new_model()
{
	Model m;

	m.pid_max = pid_max();
	m.foreign = pids_in_use();
	m.cgroups = !access("/proc/self/cgroup", F_OK);
	return m;
}

inline const char *missing()
{
	for (auto what :
	     { missing_root, missing_pid_ns, missing_initial_pid_ns, missing_last_pid }) {
		if (const char *text = what())
			return text;
	}
	return pid_max() < 8000 ? "needs a kernel.pid_max of 8000" : nullptr;
}

inline uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

inline double seconds_since(uint64_t start_ns)
{
	return (now_ns() - start_ns) / 1e9;
}

/* What takes longer hangs. Both tests may, in the time that the program has. */
inline int hangs_after_ms()
{
	return number_from("kselftest_timeout", 300) * 1000 / 3;
}

/* Carries out a plan in a process of its own. */
inline void carry_out(const Plan &plan, Outcome &outcome, int within_ms)
{
	Sysctl pid_max("kernel/pid_max");

	memset(static_cast<void *>(&outcome), 0, sizeof(outcome));
	Spawned runner = run_in_child([&] {
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
	});

	if (!exits_within(runner.child, within_ms)) {
		outcome.add("mismatch: it hangs");
		outcome.mismatch = true;
	} else if (runner.child.wait().signal) {
		outcome.add("mismatch: a worker was killed");
		outcome.mismatch = true;
	}
	pid_max.set(pid_max.saved());
}

struct Totals {
	long calls = 0, successes = 0;
	int runs = 0, disturbed = 0;
	std::string mismatch;
};

using Progress = std::function<void(const Totals &)>;

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_HPP */
