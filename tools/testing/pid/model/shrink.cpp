// SPDX-License-Identifier: GPL-2.0
/*
 * Lists of operations in a process of their own, see shrink.hpp.
 */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "model/shrink.hpp"

/* What survives the process that runs the operations. */
struct Shared {
	std::size_t done;
	Totals totals;
};

static Shared &shared()
{
	static void *const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		std::perror("mmap");
		std::exit(2);
	}
	return *static_cast<Shared *>(memory);
}

const Totals &totals()
{
	return shared().totals;
}

/* In the child. Returns its exit status. */
static int run(const Ops &list, bool trace)
{
	if (!trace && !std::freopen("/dev/null", "w", stderr))
		return 1;
	try {
		Model model;

		model.trace = trace;
		for (const Op &op : list) {
			__atomic_fetch_add(&shared().done, 1, __ATOMIC_SEQ_CST);
			model.step(op);
		}
		model.finish();
		for (const auto &[err, times] : model.answers)
			shared().totals.answers[err] += times;
		shared().totals.short_of_memory += model.short_of_memory;
		shared().totals.refused_in_pidfs += model.refused_in_pidfs;
	} catch (const Mismatch &e) {
		if (trace)
			std::printf("mismatch:  %s\n", e.what());
		std::fflush(stdout);
		return 1;
	}
	return 0;
}

std::size_t fails(const Ops &list, bool trace)
{
	int status;

	shared().done = 0;
	std::fflush(stdout);

	const pid_t child = fork();

	if (!child)
		_exit(run(list, trace));
	if (child < 0 || waitpid(child, &status, 0) != child) {
		std::perror("fork");
		std::exit(2);
	}
	return status ? std::max<std::size_t>(shared().done, 1) : 0;
}

/* Leaves out what the failure does not need, from halves to single ones. */
static Ops shrink(Ops list)
{
	list.resize(fails(list, false));
	for (std::size_t part = list.size() / 2; part; part /= 2) {
		for (std::size_t at = 0; at < list.size();) {
			Ops shorter = list;
			const auto from = shorter.begin() + at;

			shorter.erase(from, from + std::min(part, list.size() - at));
			if (shorter.empty() || !fails(shorter, false)) {
				at += part;
				continue;
			}
			list = shorter;
		}
	}
	return list;
}

void report(const Ops &failing)
{
	const Ops list = shrink(failing);

	std::printf("\nA mismatch. %zu operations show it:\n\n", list.size());
	fails(list, true);
	std::printf("\nTo replay: xxd -r -p <<. | pid_replay /dev/stdin\n");
	for (const Op &op : list) {
		const auto *bytes = reinterpret_cast<const uint8_t *>(&op);

		for (std::size_t i = 0; i < sizeof(op); i++)
			std::printf("%02x", bytes[i]);
		std::printf("\n");
	}
	std::printf(".\n");
}
