// SPDX-License-Identifier: GPL-2.0
/*
 * Row 26: automatic PIDs go up one by one.
 */

#include <cerrno>

#include "tests/suite.hpp"

TEST_F(alloc_pid, row26_numbers_go_up_one_by_one)
{
	World w;
	const auto nss = w.chain(1);

	for (pid_t nr = 2; nr < 200; nr++)
		EXPECT_EQ((Pids{ nr, nr + 1 }), numbers(w.alloc(nss[1])));
}

TEST_F(alloc_pid, row26_number_given_back_is_not_used_again_at_once)
{
	World w;
	struct pid *pid = w.alloc(shim_root());
	const pid_t nr = shim_pid_nr(pid, 0);

	w.free(pid);
	EXPECT_EQ(nr + 1, shim_pid_nr(w.alloc(shim_root()), 0));
}

/* A node of the IDR has 64 numbers, one of the next height 4096. */
TEST_F(alloc_pid, row26_next_free_number_behind_those_in_use)
{
	World w;

	while (shim_pid_nr(w.alloc(shim_root()), 0) < 5000)
		;
	for (pid_t nr : { 127, 1000, 4200 }) {
		w.free(shim_find_pid(nr, shim_root()));
		shim_ns_set_cursor(shim_root(), 70);
		EXPECT_EQ(nr, shim_pid_nr(w.alloc(shim_root()), 0));
	}
	shim_ns_set_cursor(shim_root(), 70);
	EXPECT_EQ(5001, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_sequence_goes_on_where_it_is_set)
{
	World w;

	/* ns_last_pid */
	shim_ns_set_cursor(shim_root(), 5000);
	EXPECT_EQ(5000, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(5001, shim_pid_nr(w.alloc(shim_root()), 0));
	shim_ns_set_cursor(shim_root(), 4999);
	EXPECT_EQ(4999, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(5002, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_ns_last_pid_is_written_under_the_lock)
{
	World w;
	const shim_stats before = stats();

	shim_set_last_pid(shim_root(), 4999);
	EXPECT_EQ(before.locks + 1, stats().locks);
	EXPECT_EQ(5000, shim_pid_nr(w.alloc(shim_root()), 0));
	shim_set_last_pid(shim_root(), 0);
	EXPECT_EQ(1u, shim_ns_cursor(shim_root()));
}

TEST_F(alloc_pid, row26_sequence_starts_again_above_the_reserved_numbers)
{
	World w;

	shim_ns_set_cursor(shim_root(), 32767);
	EXPECT_EQ(32767, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(300, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(301, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_reserved_numbers_are_for_a_sequence_that_is_there)
{
	for (const auto &[cursor, nr] : std::vector<std::pair<unsigned int, int>>{
		     { 0, 2 }, { 299, 299 }, { 300, 300 }, { 301, 301 } }) {
		World w;

		shim_ns_set_cursor(shim_root(), cursor);
		EXPECT_EQ(nr, shim_pid_nr(w.alloc(shim_root()), 0)) << cursor;
	}

	/* Up to 300 the search starts again at 1, above it at 300. */
	World w;

	exhaust(w, shim_root());
	shim_ns_set_pid_max(shim_root(), 301);
	w.free(shim_find_pid(100, shim_root()));
	shim_ns_set_cursor(shim_root(), 301);
	EXPECT_EQ(-EAGAIN, w.try_alloc(shim_root()));
	shim_ns_set_cursor(shim_root(), 300);
	EXPECT_EQ(0, w.try_alloc(shim_root()));
}

TEST_F(alloc_pid, row26_sequence_survives_a_lower_pid_max)
{
	World w;

	shim_ns_set_cursor(shim_root(), 20000);
	w.alloc(shim_root());
	shim_ns_set_pid_max(shim_root(), 1000);
	EXPECT_EQ(300, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(20000, shim_pid_nr(shim_find_pid(20000, shim_root()), 0));
	shim_ns_set_pid_max(shim_root(), 32768);
	EXPECT_EQ(301, shim_pid_nr(w.alloc(shim_root()), 0));
}
