// SPDX-License-Identifier: GPL-2.0
/*
 * Claims that succeed, and claims that fail: rows 11 to 13.
 */

#include <cerrno>

#include "tests/suite.hpp"

TEST_F(alloc_pid, request_of_any_size_is_granted)
{
	for (unsigned int level : some_levels) {
		World w;
		const auto nss = w.chain(level);

		for (std::size_t size = 0; size <= level + 1; size++) {
			const Pids wanted = ask(size, 1000 + 900 * size);
			const auto before = states(nss);
			struct pid *pid = w.alloc(nss.back(), wanted);
			const Pids got = numbers(pid);

			ASSERT_EQ(level + 1, got.size());
			EXPECT_EQ(wanted, Pids(got.begin(), got.begin() + size));
			EXPECT_EQ(1u, shim_pid_refs(pid));
			EXPECT_TRUE(shim_pid_is_fresh(pid));
			for (unsigned int i = 0; i <= level; i++) {
				const NsState after(nss[i]);
				const bool asked = level - i < size;
				const int nr = shim_pid_nr(pid, i);

				EXPECT_EQ(nss[i], shim_pid_ns(pid, i));
				EXPECT_EQ(pid, shim_find_pid(nr, nss[i]));
				EXPECT_EQ(before[i].allocated + 1, after.allocated);
				EXPECT_EQ(before[i].refs + (i && i == level), after.refs);
				/* row 17 */
				EXPECT_EQ(asked ? before[i].cursor : nr + 1u, after.cursor)
					<< "level " << i << ", size " << size;
			}
		}
	}
}

TEST_F(alloc_pid, row11_pid_in_use_at_any_level)
{
	for (unsigned int level : some_levels) {
		World w;
		const auto nss = w.chain(level);
		struct pid *busy = w.alloc(nss.back(), ask(level + 1, 5000));
		const auto before = states(nss);

		for (std::size_t i = 0; i <= level; i++) {
			for (std::size_t size = i + 1; size <= level + 1; size++) {
				Pids wanted = ask(size);

				wanted[i] = 5000 + i;
				ASSERT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted))
					<< i << " of " << size;
			}
		}
		/* row 16 */
		shim_rcu_barrier();
		EXPECT_EQ(before, states(nss));

		w.free(busy);
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(level + 1, 5000)));
	}
}

TEST_F(alloc_pid, row11_init_of_a_namespace_is_in_use)
{
	World w;
	const auto nss = w.chain(2);

	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1000, 1 }));
}

TEST_F(alloc_pid, row12_namespace_at_any_level_lost_its_init)
{
	for (unsigned int level : some_levels) {
		for (unsigned int dead = 0; dead <= level; dead++) {
			World w;
			const auto nss = w.chain(level);

			shim_disable_pid_allocation(nss[dead]);

			const auto before = states(nss);

			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), ask(1)));
			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), ask(level + 1)));
			shim_rcu_barrier();
			EXPECT_EQ(before, states(nss));
		}
	}
}

TEST_F(alloc_pid, row12_dead_namespace_is_not_worth_a_retry)
{
	World w;
	const auto nss = w.chain(32);

	shim_disable_pid_allocation(nss[0]);

	const shim_stats before = stats();

	EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
	EXPECT_EQ(before.locks + 1, stats().locks);
}

TEST_F(alloc_pid, order_claims_are_answered_from_the_innermost_outwards)
{
	World w;
	const auto nss = w.chain(2);

	w.alloc(nss.back(), { 1000, 1000, 1000 });
	shim_disable_pid_allocation(nss[1]);
	/* Level 2 is busy, level 1 dead, level 0 busy. */
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1001, 1001 }));
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[2], { 1001, 1001, 1000 }));
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[2], { 1001 }));
	/* A PID that is in use is reported even in a dead namespace. */
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1001, 1000, 1001 }));
}

TEST_F(alloc_pid, row13_no_automatic_pid_left_at_the_innermost_level)
{
	World w;
	const auto nss = w.chain(1);

	/* Level 0 goes on from here, above the lowered pid_max. */
	shim_ns_set_cursor(nss[0], 1000);
	exhaust(w, nss[1]);
	shim_ns_set_pid_max(nss[1], 301);
	shim_ns_set_cursor(nss[0], 0);

	const auto before = states(nss);

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[1]));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[1], { 300 }));
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));
	shim_ns_set_pid_max(nss[1], 302);
	EXPECT_EQ(0, w.try_alloc(nss[1]));
}

TEST_F(alloc_pid, row13_no_automatic_pid_left_at_an_outer_level)
{
	World w;
	const auto nss = w.chain(2);
	struct pid *last;

	exhaust(w, nss[0]);
	shim_ns_set_pid_max(nss[0], 301);

	const auto before = states(nss);

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2]));
	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 100 }));

	const Refusals reported;

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 100, 100 }));
	reported.expect(0, 0, SHIM_NONE_FREE, -EAGAIN);
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 100, 100, 100 }));
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));

	/* One is released: the next claim gets it, the one after that gets none. */
	last = shim_find_pid(200, nss[0]);
	w.free(last);
	ASSERT_EQ(0, w.try_alloc(nss[2], { 100 }, &last));
	EXPECT_EQ(200, shim_pid_nr(last, 0));
	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 101 }));
}
