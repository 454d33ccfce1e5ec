/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random calls, and plans of what a run does.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP

#include "model.hpp"
#include "random.hpp"

namespace model
{
inline pid_t draw_pid(const Model &m, Random &random, int space, bool level_0)
{
	const pid_t end = m.pid_max;

	if (random.percent(3))
		return random.of<pid_t>({ 0, -1, end, end + 1, INT_MAX, INT_MIN });
	if (space < 0)
		return random.percent(90) ? 1 : 2 + random.below(400);
	const PidNs &ns = m.spaces[space];
	if (ns.state == PidNs::unborn)
		return random.percent(85) ? 1 : 2 + random.below(400);
	if (random.percent(8) && !ns.held.empty())
		return random.of(ns.held).first;
	if (m.shares.own) {
		if (random.percent(25))
			return m.shares.contended + random.below(m.shares.contended_count);
		return m.shares.own + random.below(m.shares.own_count);
	}
	if (random.percent(10) && !ns.last.empty())
		return std::clamp<pid_t>(*ns.last.begin() + 1 + random.below(4), 1, end - 1);
	if (random.percent(3))
		return end - 1;
	/* The low ones at level 0 belong to those that come and go there. */
	pid_t pid;
	do
		pid = level_0 ? end / 2 + random.below(end / 2) : 1 + random.below(end - 1);
	while (level_0 && m.foreign.count(pid));
	return pid;
}

inline Call draw_call(const Model &m, const Actor &a, Random &random)
{
	Call c;

	/* The structure */
	if (random.percent(8)) {
		c.size = random.of<size_t>(
			{ 0, 63, 64, 65, 68, 72, 76, 79, 80, 80, 80, 81, 88, 89, 96, 4096, 4097 });
		c.tail = random.percent(20);
	}
	/* The flags, and what the child is for */
	const unsigned int kind = random.below(100);
	if (kind < 66) {
		c.flags = CLONE_VM | CLONE_VFORK;
	} else if (kind < 72) {
		c.flags = random.of<uint64_t>({ 0, CLONE_VFORK, CLONE_FILES, CLONE_CLEAR_SIGHAND });
	} else if (kind < 80) {
		c.flags = Request::thread_flags;
		c.exit_signal = 0;
		c.role = Role::thread;
	} else if (kind < 87) {
		c.flags = CLONE_PARENT;
		c.exit_signal = 0;
		c.role = random.of<Role>(
			{ Role::sleeps, Role::sleeps, Role::zombie, Role::group, Role::session });
	} else if (kind < 93) {
		c.flags = CLONE_NEWPID | CLONE_VFORK;
		if (random.percent(40))
			c.flags |= CLONE_NEWUSER;
	} else {
		c.flags = random.of<uint64_t>({ CLONE_VM | CLONE_FS | CLONE_FILES, CLONE_DETACHED,
						1ULL << 40, CLONE_THREAD | CLONE_VM, CLONE_SIGHAND,
						CLONE_VM | CLONE_SIGHAND | CLONE_CLEAR_SIGHAND,
						CLONE_NEWUSER | CLONE_FS,
						CLONE_THREAD | CLONE_NEWPID, CLONE_PARENT });
	}
	if (random.percent(2))
		c.exit_signal = random.of<uint64_t>({ 0, SIGUSR1, 64, 65, 255, 256, 1ULL << 32 });
	/* A failure after the claim; more of them for first processes */
	const bool unborn = m.spaces[a.target].state == PidNs::unborn;
	if (random.percent(unborn ? 35 : 7)) {
		c.flags |= CLONE_PIDFD;
		c.bad_pidfd = true;
	} else if (random.percent(4) && m.cgroups) {
		c.flags |= CLONE_INTO_CGROUP;
		c.cgroup = random.of<int64_t>({ INT_MAX, INT_MAX, 1LL << 31 });
	} else if (random.percent(3)) {
		c.flags |= CLONE_PIDFD;
	}
	c.stack_without_size = random.percent(1);

	/* The PIDs */
	const bool init = c.flags & CLONE_NEWPID;
	const std::vector<int> levels = m.levels(a.target);
	const size_t most = levels.size() + init;
	size_t size = random.percent(4) ? most + 1 : random.below(most + 1);
	size = std::min<size_t>(size, 40);
	for (size_t i = 0; i < size; i++) {
		const size_t level = i - init;
		const int space = i < init ? -1 : levels[std::min(level, levels.size() - 1)];

		c.pids.push_back(draw_pid(m, random, space, space == 0));
	}
	if (random.percent(6)) {
		c.array = random.of({ Array::missing, Array::unmapped, Array::half });
		if (c.pids.empty() && c.array == Array::half)
			c.array = Array::missing;
	} else if (random.percent(3)) {
		c.set_tid_size = random.of<uint64_t>(
			{ 34, 64, 1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, 1ULL << 62, ~0ULL });
	}
	return c;
}

constexpr int batch_calls = 48;

/* One actor's calls; each has a seed of its own, so that any can be left out. */
struct Batch {
	uint64_t seed;
	std::vector<uint64_t> calls;
};

struct Plan {
	uint64_t world;
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

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP */
