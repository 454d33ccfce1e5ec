// SPDX-License-Identifier: GPL-2.0
/*
 * Row 14: memory runs out, at any allocation.
 */

#include <cerrno>

#include "tests/suite.hpp"

TEST_F(alloc_pid, row14_preloading_is_enough_where_no_atomic_allocation_is)
{
	for (unsigned int level : some_levels) {
		for (pid_t nr : { 2000, 32767, SHIM_PID_MAX_LIMIT - 1 }) {
			World w;

			shim_set_alloc(SHIM_ATOMIC, 0);

			const auto nss = w.chain(level);

			w.set_pid_max(SHIM_PID_MAX_LIMIT);
			EXPECT_EQ(0, w.try_alloc(nss.back(), Pids(level + 1, nr)));
			for (struct pid_namespace *ns : nss)
				shim_ns_set_cursor(ns, nr - 100);
			EXPECT_EQ(0, w.try_alloc(nss.back()));
			EXPECT_EQ(0, w.try_alloc(nss.back(), { nr - 500 }));
		}
	}
}

TEST_F(alloc_pid, row14_retry_keeps_no_more_nodes_than_usual)
{
	const unsigned int usual = shim_usual_preload();

	for (unsigned int level : some_levels) {
		World w;
		const auto nss = w.chain(level);

		shim_drop_preloaded();
		w.set_pid_max(SHIM_PID_MAX_LIMIT);
		EXPECT_EQ(0, w.try_alloc(nss.back(), Pids(level + 1, SHIM_PID_MAX_LIMIT - 1)));
		EXPECT_GE(usual, shim_drop_preloaded()) << level;
		if (!level)
			continue;

		/* Nor does one that fails. */
		Pids taken = Pids(level + 1, SHIM_PID_MAX_LIMIT - 100);

		taken.back() = SHIM_PID_MAX_LIMIT - 1;
		EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), taken));
		EXPECT_GE(usual, shim_drop_preloaded()) << level;
	}
}

TEST_F(alloc_pid, row14_preload_that_fails_keeps_no_more_nodes_than_usual)
{
	const long usual = shim_usual_preload();
	World w;
	const auto nss = w.chain(32);

	w.set_pid_max(SHIM_PID_MAX_LIMIT);
	/* Enough for the first try, and for a part of the second. */
	for (long enough = usual; enough < 4 * usual; enough++) {
		shim_drop_preloaded();
		shim_set_alloc(SHIM_SLEEPING, enough);
		EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), Pids(33, SHIM_PID_MAX_LIMIT - 1)));
		shim_set_alloc(SHIM_SLEEPING, -1);
		EXPECT_GE(usual, shim_drop_preloaded()) << enough;
	}
}

/* Others on the same CPU free what they have preloaded, and not what this one has. */
TEST_F(alloc_pid, row14_preload_is_not_lost_to_others_on_the_cpu)
{
	struct Other {
		World &w;
		struct pid_namespace *target;
		long tries;
		pid_t next;
	};
	/* Nodes for many claims. */
	static constexpr long enough = 2000;
	World w;
	const auto nss = w.chain(32);
	Other other = { w, w.chain(32).back(), 0, 1000000 };

	w.set_pid_max(SHIM_PID_MAX_LIMIT);
	shim_while_asleep(
		[](void *arg) {
			auto &o = *static_cast<Other *>(arg);

			/* Each of its claims needs new nodes. */
			if (++o.tries < enough)
				o.w.try_alloc(o.target, Pids(33, o.next += 1000));
		},
		&other);
	EXPECT_EQ(0, w.try_alloc(nss.back(), Pids(33, SHIM_PID_MAX_LIMIT - 1)));
	shim_while_asleep(nullptr, nullptr);
	EXPECT_LT(0, other.tries);
	EXPECT_GT(enough, other.tries);
}

/* The states without the nodes: a failed claim may leave nodes that hold no number. */
static std::vector<NsState> but_nodes(std::vector<NsState> nss)
{
	for (NsState &s : nss)
		s.nodes = 0;
	return nss;
}

/* A call that failed for lack of memory has changed nothing, and succeeds now. */
static void expect_undone(World &w, const std::vector<struct pid_namespace *> &nss,
			  const Pids &wanted, const std::vector<NsState> &before, int err)
{
	EXPECT_EQ(-ENOMEM, err);
	shim_rcu_barrier();
	EXPECT_EQ(but_nodes(before), but_nodes(states(nss)));
	EXPECT_EQ(0, w.try_alloc(nss.back(), wanted));
}

TEST_F(alloc_pid, row14_every_allocation_may_fail_once)
{
	unsigned int points = 0;

	for (long atomic : { 0, -1 }) {
		for (unsigned int level : { 0u, 1u, 4u, 32u }) {
			for (std::size_t size : { 0u, 1u, level + 1 }) {
				for (unsigned long nth = 1;; nth++) {
					World w;
					const auto nss = w.chain(level);
					const Pids wanted = ask(size, 31000);

					shim_drop_preloaded();
					shim_set_alloc(SHIM_ATOMIC, atomic);

					const auto before = states(nss);

					shim_fail_nth(nth);

					const int err = w.try_alloc(nss.back(), wanted);

					if (shim_fail_pending())
						break;
					points++;
					if (err)
						expect_undone(w, nss, wanted, before, err);
				}
			}
		}
	}
	RecordProperty("points", points);
	EXPECT_GT(points, 100u);
}

TEST_F(alloc_pid, row14_memory_runs_out_at_any_allocation)
{
	for (unsigned int level : { 0u, 1u, 4u, 32u }) {
		for (std::size_t size : { 0u, 1u, level + 1 }) {
			int err = -ENOMEM;

			for (long enough = 0; err; enough++) {
				ASSERT_LT(enough, 1000) << "it never succeeds";
				World w;
				const auto nss = w.chain(level);
				const Pids wanted = ask(size, 31000);

				shim_drop_preloaded();

				const auto before = states(nss);

				shim_set_alloc(SHIM_SLEEPING, enough);
				err = w.try_alloc(nss.back(), wanted);
				shim_set_alloc(SHIM_SLEEPING, -1);
				if (err)
					expect_undone(w, nss, wanted, before, err);
			}
		}
	}
}
