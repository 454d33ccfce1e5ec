// SPDX-License-Identifier: GPL-2.0
/*
 * Row 28: kernel.pid_min, the lowest automatic PID of a namespace.
 */

#include <cerrno>
#include <climits>

#include "tests/suite.hpp"

static constexpr int room = 300;

static pid_t next(World &w, struct pid_namespace *ns)
{
	return numbers(w.alloc(ns))[0];
}

TEST_F(alloc_pid, row28_floor_is_1_at_first)
{
	World w;

	for (struct pid_namespace *ns : w.chain(2))
		EXPECT_EQ(1, shim_ns_pid_min(ns));
}

TEST_F(alloc_pid, row28_automatic_pids_are_not_less)
{
	World w;

	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 5000));
	EXPECT_EQ(5000, next(w, shim_root()));
	EXPECT_EQ(5001, next(w, shim_root()));
	/* A sequence that is above it goes on where it is. */
	shim_ns_set_cursor(shim_root(), 6000);
	EXPECT_EQ(6000, next(w, shim_root()));
	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 1));
	EXPECT_EQ(6001, next(w, shim_root()));
}

TEST_F(alloc_pid, row28_each_level_has_its_own)
{
	World w;
	const auto nss = w.chain(2);

	ASSERT_EQ(0, shim_set_pid_min(nss[1], 700));
	EXPECT_EQ((Pids{ 2, 700, 4 }), numbers(w.alloc(nss[2])));
	ASSERT_EQ(0, shim_set_pid_min(nss[2], 900));
	EXPECT_EQ((Pids{ 900, 701, 5 }), numbers(w.alloc(nss[2])));
}

TEST_F(alloc_pid, row28_requested_pids_may_be_lower)
{
	World w;
	const auto nss = w.chain(1);

	ASSERT_EQ(0, shim_set_pid_min(nss[1], 700));
	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 800));
	EXPECT_EQ((Pids{ 42, 800 }), numbers(w.alloc(nss[1], { 42 })));
	EXPECT_EQ((Pids{ 43, 17 }), numbers(w.alloc(nss[1], { 43, 17 })));
	EXPECT_EQ((Pids{ 700, 801 }), numbers(w.alloc(nss[1])));
}

TEST_F(alloc_pid, row28_init_is_pid_1)
{
	World w;
	struct pid_namespace *ns = w.new_ns(shim_root());

	ASSERT_EQ(0, shim_set_pid_min(ns, 700));
	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 800));
	EXPECT_EQ((Pids{ 1, 800 }), numbers(w.alloc(ns)));
	shim_ns_set_reaper(ns, true);
	EXPECT_EQ((Pids{ 700, 801 }), numbers(w.alloc(ns)));
}

TEST_F(alloc_pid, row28_search_starts_again_at_the_floor)
{
	for (const auto &[floor, nr] : std::vector<std::pair<int, int>>{
		     { 1, 300 }, { 299, 300 }, { 300, 300 }, { 301, 301 }, { 5000, 5000 } }) {
		World w;

		ASSERT_EQ(0, shim_set_pid_min(shim_root(), floor));
		shim_ns_set_cursor(shim_root(), 32767);
		EXPECT_EQ(32767, next(w, shim_root()));
		EXPECT_EQ(nr, next(w, shim_root())) << floor;
	}
}

TEST_F(alloc_pid, row28_floor_below_300_counts_before_the_first_wrap)
{
	World w;

	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 150));
	EXPECT_EQ(150, next(w, shim_root()));
}

TEST_F(alloc_pid, row28_floor_leaves_300_numbers)
{
	World w;

	for (int max : { 301, 302, 32768, static_cast<int>(SHIM_PID_MAX_LIMIT) }) {
		shim_ns_set_pid_max(shim_root(), max);
		EXPECT_EQ(0, shim_set_pid_min(shim_root(), max - room)) << max;
		EXPECT_EQ(-EINVAL, shim_set_pid_min(shim_root(), max - room + 1)) << max;
		EXPECT_EQ(max - room, shim_ns_pid_min(shim_root()));
		EXPECT_EQ(0, shim_set_pid_min(shim_root(), 1)) << max;
	}
	EXPECT_EQ(-EINVAL, shim_set_pid_min(shim_root(), INT_MAX));
}

TEST_F(alloc_pid, row28_floor_does_not_apply_while_pid_max_is_too_low)
{
	World w;

	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 5000));
	shim_ns_set_pid_max(shim_root(), 5000 + room - 1);
	EXPECT_EQ(2, next(w, shim_root()));
	EXPECT_EQ(5000, shim_ns_pid_min(shim_root()));
	shim_ns_set_pid_max(shim_root(), 5000 + room);
	EXPECT_EQ(5000, next(w, shim_root()));
}

TEST_F(alloc_pid, row28_no_number_left_above_the_floor)
{
	World w;
	const int floor = 1000;

	ASSERT_EQ(0, shim_set_pid_min(shim_root(), floor));
	shim_ns_set_pid_max(shim_root(), floor + room);
	for (int i = 0; i < room; i++)
		EXPECT_EQ(floor + i, next(w, shim_root()));
	EXPECT_EQ(-EAGAIN, w.try_alloc(shim_root()));
	EXPECT_EQ(floor - 1, numbers(w.alloc(shim_root(), { floor - 1 }))[0]);
	EXPECT_EQ(-EAGAIN, w.try_alloc(shim_root()));
	w.free(shim_find_pid(floor + 7, shim_root()));
	EXPECT_EQ(floor + 7, next(w, shim_root()));
}

TEST_F(alloc_pid, row28_ns_last_pid_below_the_floor_reads_back)
{
	World w;

	ASSERT_EQ(0, shim_set_pid_min(shim_root(), 5000));
	shim_set_last_pid(shim_root(), 99);
	EXPECT_EQ(100u, shim_ns_cursor(shim_root()));
	EXPECT_EQ(5000, next(w, shim_root()));
}

TEST_F(alloc_pid, row28_is_written_under_the_lock)
{
	World w;
	const shim_stats before = stats();

	shim_set_pid_min(shim_root(), 5000);
	EXPECT_EQ(before.locks + 1, stats().locks);
}
