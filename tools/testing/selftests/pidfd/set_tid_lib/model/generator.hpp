/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Draws random actors and their calls. A seed gives the same sequence only while
 * the order of the draws stays as it is: add new ones at the end.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP

#include "model.hpp"
#include "random.hpp"
#include "../cgroup.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../request.hpp"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <vector>

namespace model
{
/* Allows a kernel.pid_max that leaves no PID to others for moments. */
const bool may_starve = getenv("SET_TID_MODEL_STARVE");

/* A PID for a namespace; space is -1 for one that the call creates. */
inline pid_t draw_pid(const Model &m, Random &random, int space, bool level_0)
{
	const pid_t end = space < 0 ? m.pid_max : m.end(m.spaces[space]);

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
	/* At level 0 other processes come and go: they have the lower half. */
	pid_t pid;
	do
		pid = level_0 ? end / 2 + random.below(end / 2) : 1 + random.below(end - 1);
	while (level_0 && m.foreign.count(pid));
	return pid;
}

/* How much of the structure the kernel sees. */
inline void draw_size(Call &c, Random &random)
{
	if (!random.percent(8))
		return;
	c.size = random.of<size_t>(
		{ 0, 63, 64, 65, 68, 72, 76, 79, 80, 80, 80, 81, 88, 89, 96, 4096, 4097 });
	c.tail = random.percent(20);
}

/* The flags, and what the child does. */
inline void draw_flags(Call &c, Random &random)
{
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
}

/* A failure after the claim: more often for the first process of a namespace. */
inline void draw_late_failure(Call &c, bool unborn, bool cgroups, Random &random)
{
	if (random.percent(unborn ? 35 : 7)) {
		c.flags |= CLONE_PIDFD;
		c.bad_pidfd = true;
	} else if (random.percent(4) && cgroups) {
		c.flags |= CLONE_INTO_CGROUP;
		c.cgroup = random.of<int64_t>({ INT_MAX, INT_MAX, 1LL << 31 });
	} else if (random.percent(3)) {
		c.flags |= CLONE_PIDFD;
	}
}

/* The PIDs, and how the array and its size are wrong, if they are. */
inline void draw_pids(Call &c, const Model &m, const Actor &a, Random &random)
{
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
}

inline Call draw_call(const Model &m, const Actor &a, Random &random)
{
	Call c;

	draw_size(c, random);
	draw_flags(c, random);
	draw_late_failure(c, m.spaces[a.target].state == PidNs::unborn, m.cgroups, random);
	c.stack_without_size = random.percent(1);
	draw_pids(c, m, a, random);
	return c;
}

/* The call of a seed, as far as the actor can make it and clean up after it. */
inline Call draw_call(const Model &m, const Actor &a, uint64_t seed)
{
	Random random(seed);
	Call c = draw_call(m, a, random);
	const PidNs &target = m.spaces[a.target];

	if (!target.private_to_actor)
		return c;
	/* The worker cannot release a child that stays in such a namespace. */
	if (c.flags & CLONE_PARENT) {
		c.flags &= ~CLONE_PARENT;
		c.exit_signal = SIGCHLD;
		c.role = Role::leaves;
	}
	/* The first process may stay: with memory of its own, and nobody waits for it. */
	if (target.state == PidNs::unborn && c.role == Role::leaves &&
	    !(c.flags & (CLONE_NEWPID | CLONE_THREAD)) && random.percent(40)) {
		c.flags &= ~(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_FS | CLONE_FILES);
		c.role = Role::init;
	}
	return c;
}

/* What the worker has one actor do, beside its calls. */
struct Task {
	Actor actor;
	/* Its target is a namespace without an init, */
	bool creates = false; /* which it creates, */
	bool enters = false; /* or which somebody else has created */
	bool creator_ends = false; /* before the actor enters */
	pid_t last = 0; /* it writes this to ns_last_pid, if not 0 */
	pid_t pid_max = 0; /* during its calls, if not 0 */
};

inline Actor draw_actor(const Model &m, Random &random)
{
	const size_t spaces = m.spaces.size();
	Actor a;

	a.active = random.percent(55) ? 0 : random.below(spaces);
	do
		a.target = random.percent(25) ? a.active : random.below(spaces);
	while (!m.is_inside_space(a.target, a.active));
	if (random.percent(45)) {
		/* The target's owner, or that of a level further out. */
		a.joined = a.target;
		while (a.joined && random.percent(40))
			a.joined = m.spaces[a.joined].parent;
		a.user = m.spaces[a.joined].owner;
	}
	if (random.percent(40))
		a.power =
			random.of({ Actor::none, Actor::admin, Actor::checkpoint, Actor::nobody });
	return a;
}

/* alone: no other worker has the namespaces, so settings may change. */
inline Task draw_task(const Model &m, bool alone, Random &random)
{
	const Actor actor = draw_actor(m, random);
	Task task = { .actor = actor };

	task.creates = actor.active == actor.target && random.percent(25) &&
		       m.spaces[actor.active].level < max_pid_ns_level &&
		       m.is_inside(actor.user, m.spaces[actor.active].owner);
	task.enters = !task.creates && random.percent(25) &&
		      m.spaces[actor.target].level < max_pid_ns_level;

	const bool writes = alone && actor.active && random.percent(25);
	const pid_t end = m.end(m.spaces[actor.active]);
	const pid_t last = random.percent(30) ? end - 1 - random.below(3) :
						1 + random.below(end - 1);
	if (writes)
		task.last = last;

	const bool limits = alone && random.percent(12);
	pid_t limit = random.of<pid_t>({ 301, 302, 303, 320, 1000, 5000 });
	/* Level 0 has others. It needs a sequence that is past the first PIDs. */
	if (last_pid() < reserved || !may_starve)
		limit = std::max(limit, 1000);
	if (limits && limit < m.pid_max)
		task.pid_max = limit;

	task.creator_ends = task.enters && random.percent(50);
	return task;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_GENERATOR_HPP */
