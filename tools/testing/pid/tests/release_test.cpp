// SPDX-License-Identifier: GPL-2.0
/*
 * After the claim: attaching the task, and free_pid().
 */

#include "tests/suite.hpp"

TEST_F(alloc_pid, attaching_needs_every_namespace)
{
	for (unsigned int dead = 1; dead <= 4; dead++) {
		World w;
		const auto nss = w.chain(4);
		struct pid *pid = w.alloc(nss.back());

		EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
		shim_disable_pid_allocation(nss[dead]);
		EXPECT_FALSE(shim_pid_may_attach(pid, nullptr, 0)) << dead;
	}
}

/*
 * The init of level 0 cannot exit, so there is nothing to check. A check would make
 * every fork() read a cache line that every other fork() writes.
 */
TEST_F(alloc_pid, attaching_does_not_look_at_level_0)
{
	for (unsigned int level : { 0, 2 }) {
		World w;
		const auto nss = w.chain(level);
		struct pid *pid = w.alloc(nss.back());

		shim_disable_pid_allocation(nss[0]);
		EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
	}
}

TEST_F(alloc_pid, attaching_needs_no_namespace_further_in)
{
	World w;
	const auto nss = w.chain(2);
	struct pid *pid = w.alloc(nss[1]);

	shim_disable_pid_allocation(nss[2]);
	EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
}

TEST_F(free_pid, pid_is_not_found_afterwards)
{
	World w;
	const auto nss = w.chain(4);
	struct pid *pid = w.alloc(nss.back(), ask(5));

	w.free(pid);
	for (unsigned int i = 0; i <= 4; i++)
		EXPECT_EQ(nullptr, shim_find_pid(1000 + i, nss[4 - i]));
}

TEST_F(free_pid, pid_lives_until_readers_are_done)
{
	World w;
	const auto nss = w.chain(4);
	struct pid *pid = w.alloc(nss.back(), ask(5));
	const shim_stats before = stats();

	shim_read_lock();
	w.free(pid);
	/* AddressSanitizer reports this if the memory has been freed. */
	EXPECT_EQ(ask(5), numbers(pid));
	shim_read_unlock();
	EXPECT_EQ(before.live_pids, stats().live_pids);
	shim_rcu_barrier();
	EXPECT_EQ(before.live_pids - 1, stats().live_pids);
}

TEST_F(free_pid, pid_and_its_namespace_live_as_long_as_they_are_held)
{
	World w;
	struct pid_namespace *ns = w.new_ns(shim_root());
	struct pid *init = w.start_init(ns);
	struct pid *held = w.alloc(ns);
	const unsigned int refs = shim_ns_refs(ns);

	shim_get_pid(held);
	shim_disable_pid_allocation(ns);
	w.free(held);
	w.free(init);
	shim_rcu_barrier();
	/* The init's reference is gone; the test's and that of @held are left. */
	EXPECT_EQ(refs - 1, shim_ns_refs(ns));
	EXPECT_EQ(1u, shim_pid_refs(held));
	shim_put_pid(held);
	EXPECT_EQ(refs - 2, shim_ns_refs(ns));
}

TEST_F(free_pid, frees_all_that_a_task_has_left_behind)
{
	World w;
	const auto nss = w.chain(2);
	const auto before = states(nss);
	struct pid *pids[SHIM_PID_TYPES] = {};

	ASSERT_EQ(0, shim_alloc_pid(nss[2], ask(3).data(), 3, &pids[0]));
	ASSERT_EQ(0, shim_alloc_pid(nss[1], ask(2, 2000).data(), 2, &pids[2]));
	shim_free_pids(pids);
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));
}

TEST_F(free_pid, dying_init_is_woken_when_it_is_alone)
{
	World w;
	struct pid_namespace *ns = w.new_ns(shim_root());
	struct pid *init = w.start_init(ns);
	struct pid *others[4];

	for (struct pid *&pid : others)
		pid = w.alloc(ns);
	/* Nobody is woken as long as the namespace takes processes. */
	w.free(others[0]);
	EXPECT_EQ(0u, shim_ns_woken(ns));
	shim_disable_pid_allocation(ns);
	w.free(others[1]);
	EXPECT_EQ(0u, shim_ns_woken(ns));
	/* Two are left: they may be the init's last thread and its leader, which has exited. */
	w.free(others[2]);
	EXPECT_EQ(1u, shim_ns_woken(ns));
	w.free(others[3]);
	EXPECT_EQ(2u, shim_ns_woken(ns));
	w.free(init);
	EXPECT_EQ(2u, shim_ns_woken(ns));
	EXPECT_EQ(0u, shim_ns_allocated(ns));
}

TEST_F(free_pid, last_pid_of_a_live_namespace_is_worth_a_warning)
{
	shim_stats before;
	{
		World w;
		struct pid_namespace *ns = w.new_ns(shim_root());
		struct pid *init = w.start_init(ns);

		before = stats();
		testing::internal::CaptureStderr();
		w.free(init);
		testing::internal::GetCapturedStderr();
		EXPECT_EQ(before.warnings + 1, stats().warnings);
	}
	/* The warning was expected: compare with the state after it. */
	SetUp();
}
