// SPDX-License-Identifier: GPL-2.0
/*
 * The cases, for callgrind to count: one dump a case, in which it has collected
 * what happened in alloc_pid() or free_pid(). measure.py runs it.
 *
 * Output: the number of calls.
 */

#include <valgrind/callgrind.h>

#include "bench/callgrind.hpp"
#include "bench/cases.hpp"

/* Twice the numbers in a node of the IDR: two of the calls have to add one. */
static constexpr int calls = 128;

static void run(const Case &c, bool count)
{
	const CaseChain chain(c);
	std::vector<struct pid *> pids(calls);
	std::vector<Pids> requests;

	requests.reserve(calls);
	for (int i = 0; i < calls; i++)
		requests.push_back(chain.request(i));

	if (count)
		CALLGRIND_ZERO_STATS;
	for (int i = 0; i < calls; i++) {
		const int err = shim_alloc_pid(chain.target(), requests[i].data(),
					       requests[i].size(), &pids[i]);

		if (!!err != c.fails())
			die(c.name(), err);
	}
	if (count)
		CALLGRIND_DUMP_STATS_AT(dump_name("alloc/" + c.name()));

	for (struct pid *pid : pids)
		if (pid)
			shim_free_pid(pid);
	if (count && c.request == Request::plain)
		CALLGRIND_DUMP_STATS_AT(dump_name("free/" + c.name()));
	shim_rcu_barrier();
}

int main()
{
	shim_thread_enter();
	for (const Case &c : all_cases()) {
		/* The first time fills the slab. */
		run(c, false);
		run(c, true);
	}
	shim_thread_exit();
	std::printf("%d\n", calls);
}
