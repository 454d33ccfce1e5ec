/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the test suites share: fixtures that check that nothing is left, and helpers.
 *
 * A suite has the name of the kernel function that it tests, or of the rule; it is
 * the name of its fixture class, which is why these are not in CamelCase. The numbers
 * in the names of the tests are the rows of the table in
 * Documentation/userspace-api/set_tid.rst. Rows about the rest of clone3() are
 * tested in tools/testing/selftests/pidfd.
 */
#ifndef TESTS_SUITE_HPP
#define TESTS_SUITE_HPP

#include <numeric>

#include <gtest/gtest.h>

#include "tests/world.hpp"

/* A test leaves no PID, node, namespace or callback, and causes no warning. */
class CleanTest : public testing::Test {
protected:
	void SetUp() override
	{
		shim_thread_enter();
		before_ = stats();
	}

	void TearDown() override
	{
		const shim_stats after = stats();

		EXPECT_EQ(before_.live_pids, after.live_pids);
		EXPECT_EQ(before_.live_nodes, after.live_nodes);
		EXPECT_EQ(before_.live_namespaces, after.live_namespaces);
		EXPECT_EQ(before_.live_in_pidfs, after.live_in_pidfs);
		EXPECT_EQ(before_.pending_callbacks, after.pending_callbacks);
		EXPECT_EQ(before_.warnings, after.warnings);
	}

private:
	shim_stats before_;
};

class set_tid : public CleanTest {};
class alloc_pid : public CleanTest {};
class free_pid : public CleanTest {};

inline const std::vector<unsigned int> some_levels = { 0, 1, 2, 4, 16, 32 };

/* A request for @size PIDs, which are free at every level of a new world. */
inline Pids ask(std::size_t size, pid_t first = 1000)
{
	Pids wanted(size);

	std::iota(wanted.begin(), wanted.end(), first);
	return wanted;
}

/* The PIDs that @pid has, in the order of set_tid[]. */
inline Pids numbers(const struct pid *pid)
{
	Pids nrs;

	for (unsigned int level = shim_pid_level(pid) + 1; level--;)
		nrs.push_back(shim_pid_nr(pid, level));
	return nrs;
}

/* Takes the numbers of @ns up to 300. */
inline void exhaust(World &w, struct pid_namespace *ns)
{
	for (pid_t nr = 1; nr <= 300; nr++)
		w.try_alloc(ns, { nr });
}

/* The reports of refused requests since it was created. */
class Refusals {
public:
	Refusals() { shim_get_refusal(&before_); }

	/* There was one, about this level. */
	void expect(unsigned int level, int nr, shim_reason reason, int error) const
	{
		shim_refusal last;

		shim_get_refusal(&last);
		EXPECT_EQ(before_.count + 1, last.count);
		EXPECT_EQ(level, last.level);
		EXPECT_EQ(nr, last.nr);
		EXPECT_EQ(reason, last.reason);
		EXPECT_EQ(error, last.error);
	}

	void expect_none() const
	{
		shim_refusal last;

		shim_get_refusal(&last);
		EXPECT_EQ(before_.count, last.count);
	}

private:
	shim_refusal before_;
};

#endif /* TESTS_SUITE_HPP */
