// SPDX-License-Identifier: GPL-2.0
/*
 * The cases, for callgrind to count: one dump a case, in which it has collected
 * what happened inside of alloc_pid() or free_pid(). count.sh runs it.
 *
 * Output: the number of calls.
 */

#include <valgrind/callgrind.h>

#include <cstring>
#include <deque>

#include "bench/cases.hpp"

/* Twice the numbers in a node of the IDR: two of the calls have to add one. */
static constexpr int calls = 128;

/* Callgrind reads the name of a dump later. */
static const char *lasting(const std::string &name)
{
	static std::deque<std::string> names;

	return names.emplace_back(name).c_str();
}

static void run(const pid_case &c, bool count)
{
	const pid_world world(c);
	std::vector<struct pid *> pids(calls);
	std::vector<std::vector<pid_t>> requests;

	requests.reserve(calls);
	for (int i = 0; i < calls; i++)
		requests.push_back(world.request_of(i));

	if (count)
		CALLGRIND_ZERO_STATS;
	for (int i = 0; i < calls; i++) {
		const int err = shim_alloc_pid(world.target(), requests[i].data(),
					       requests[i].size(), &pids[i]);

		if (!!err != c.fails()) {
			std::fprintf(stderr, "%s: %s\n", c.name().c_str(), std::strerror(-err));
			std::exit(1);
		}
	}
	if (count)
		CALLGRIND_DUMP_STATS_AT(lasting("alloc/" + c.name()));

	for (struct pid *pid : pids)
		if (pid)
			shim_free_pid(pid);
	if (count && c.kind == request::plain)
		CALLGRIND_DUMP_STATS_AT(lasting("free/" + c.name()));
	shim_rcu_barrier();
}

int main()
{
	shim_thread_enter();
	for (const pid_case &c : pid_cases()) {
		/* The first time fills the slab. */
		run(c, false);
		run(c, true);
	}
	shim_thread_exit();
	std::printf("%d\n", calls);
}
