/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the unit tests share: each leaves nothing behind.
 */
#ifndef PID_CLEAN_HPP
#define PID_CLEAN_HPP

#include <gtest/gtest.h>

#include "tests/world.hpp"

/* No PID, node, namespace or callback, and no warning. */
class clean : public testing::Test {
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
		EXPECT_EQ(before_.pending_callbacks, after.pending_callbacks);
		EXPECT_EQ(before_.warnings, after.warnings);
	}

private:
	shim_stats before_;
};

#endif
