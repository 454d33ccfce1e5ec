// SPDX-License-Identifier: GPL-2.0
/*
 * A claim takes all levels in one step, or changes nothing: rows 15 to 23.
 */

#include <cerrno>

#include "tests/suite.hpp"

TEST_F(alloc_pid, row15_claim_takes_the_lock_once)
{
	for (unsigned int level : some_levels) {
		World w;
		const auto nss = w.chain(level);

		for (std::size_t size : { 0u, 1u, level + 1 }) {
			const Pids wanted = ask(size, 1000 + 900 * size);

			/* Atomic allocations succeed, as they do nearly always. */
			shim_set_alloc(SHIM_ATOMIC, -1);

			const auto locks = [before = stats().locks] {
				return stats().locks - before;
			};
			struct pid *pid = w.alloc(nss.back(), wanted);

			EXPECT_EQ(1u, locks());
			if (size) {
				/* A lookup finds the innermost one of several. */
				EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted));
				EXPECT_EQ(size > 1 ? 1u : 2u, locks());
			}
			if (size > 1) {
				Pids taken_further_out = wanted;

				taken_further_out.front()++;
				EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), taken_further_out));
				EXPECT_EQ(2u, locks());
			}
			if (!size) {
				w.alloc(nss.back());
				EXPECT_EQ(2u, locks());
			}
			w.free(pid);
			EXPECT_EQ(3u, locks());
		}
	}
}

TEST_F(alloc_pid, row16_failed_claim_skips_no_pid)
{
	World w;
	const auto nss = w.chain(4);
	const Pids next = numbers(w.alloc(nss.back()));

	w.alloc(nss.back(), Pids(5, 1000));
	for (std::size_t i = 0; i < 5; i++) {
		Pids wanted = ask(i + 1, 2000);

		wanted[i] = 1000;
		EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted));
	}
	shim_disable_pid_allocation(nss[0]);
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
	/* No cursor has moved. */
	for (std::size_t i = 1; i < 5; i++)
		EXPECT_EQ(next[4 - i] + 1u, shim_ns_cursor(nss[i]));
	EXPECT_EQ(next[4] + 1u, shim_ns_cursor(nss[0]));
}

TEST_F(alloc_pid, row16_failure_at_the_wrap_does_not_move_the_sequence)
{
	World w;
	const auto nss = w.chain(1);

	w.alloc(nss[1], { 1000, 1000 });
	/* The inner level would wrap, then the outer one is busy. */
	shim_ns_set_cursor(nss[1], 32768);
	shim_disable_pid_allocation(nss[0]);
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[1]));
	EXPECT_EQ(32768u, shim_ns_cursor(nss[1]));
}

TEST_F(alloc_pid, row17_chosen_pid_leaves_the_sequence_alone)
{
	World w;
	const auto nss = w.chain(1);
	const Pids last = numbers(w.alloc(nss[1]));

	w.alloc(nss[1], { last[0] + 1 });
	EXPECT_EQ(last[0] + 1u, shim_ns_cursor(nss[1]));
	EXPECT_EQ(last[1] + 2u, shim_ns_cursor(nss[0]));
	/* The automatic sequence skips the chosen PID. */
	EXPECT_EQ((Pids{ last[0] + 2, last[1] + 2 }), numbers(w.alloc(nss[1])));
}

TEST_F(alloc_pid, row18_given_back_is_free_at_every_level)
{
	World w;
	const auto nss = w.chain(4);
	auto before = states(nss);

	for (std::size_t size = 0; size <= 5; size++) {
		w.free(w.alloc(nss.back(), ask(size)));
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(size, 2000 * (size + 1))));
	}
	w.free(w.alloc(nss.back(), ask(5)));
	EXPECT_EQ(0, w.try_alloc(nss.back(), ask(5)));
}

TEST_F(alloc_pid, row19_first_process_may_fail_late)
{
	for (unsigned int level : { 1u, 2u, 31u, 32u }) {
		World w;
		const auto nss = w.chain(level - 1);
		struct pid_namespace *fresh = w.new_ns(nss.back());

		for (const Pids &wanted : { Pids{}, { 1 }, {}, { 1 }, { 1 } }) {
			struct pid *first = w.alloc(fresh, wanted);

			EXPECT_EQ(1, numbers(first).front());
			w.free(first);
			EXPECT_EQ(SHIM_PIDNS_ADDING, shim_ns_allocated(fresh));
			EXPECT_EQ(0u, shim_ns_cursor(fresh));
		}

		struct pid *init = w.start_init(fresh);

		EXPECT_EQ(1, numbers(init).front());
		EXPECT_EQ(2, numbers(w.alloc(fresh)).front());
	}
}

TEST_F(alloc_pid, row19_first_process_may_fail_early)
{
	World w;
	const auto nss = w.chain(1);
	struct pid_namespace *fresh = w.new_ns(nss.back());

	w.alloc(nss[1], { 1000, 1000 });
	EXPECT_EQ(-EEXIST, w.try_alloc(fresh, { 1, 1000 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(fresh, { 1, 1001, 1000 }));
	shim_set_alloc(SHIM_SLEEPING, 1);
	shim_drop_preloaded();
	EXPECT_EQ(-ENOMEM, w.try_alloc(fresh));
	shim_set_alloc(SHIM_SLEEPING, -1);
	EXPECT_EQ(0u, shim_ns_cursor(fresh));
	EXPECT_EQ(1, numbers(w.start_init(fresh)).front());
}

TEST_F(alloc_pid, row23_first_process_is_pid_1)
{
	World w;
	struct pid_namespace *automatic = w.new_ns(shim_root());
	struct pid_namespace *chosen = w.new_ns(shim_root());

	EXPECT_EQ(1, numbers(w.alloc(automatic)).front());
	EXPECT_EQ((Pids{ 1, 1000 }), numbers(w.alloc(chosen, { 1, 1000 })));
}
