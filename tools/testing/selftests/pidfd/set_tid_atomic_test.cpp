// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: all or nothing. A claim that failed has changed
 * nothing, and one that succeeded only what was not chosen.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/held_at_exit.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"

#include <errno.h>
#include <unistd.h>

#include <atomic>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002;

} // namespace

TEST_REQUIRES(row16_failed_claim_holds_no_pid, need::root)
{
	const pid_t host = find_free_pid(), host_taken = getpid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(2));
	for (const Pids &busy : { Pids{ free_a, free_b, host_taken }, Pids{ free_a, 1, host },
				  Pids{ 1, free_b, host } }) {
		EXPECT_ERRNO(EEXIST, Request{}.pids(busy).attempt());
		EXPECT_ERRNO(EEXIST, Request{}.pids(busy).attempt());
		EXPECT_ERRNO(0, Request{}.pids({ free_a, free_b, host }).attempt());
	}
}

/*
 * A namespace is counted until nobody holds it any more. More are created here than
 * the limit allows at a time: neither a process that has ended nor a call that
 * failed may hold one.
 */
TEST_REQUIRES(row16_no_namespace_is_held_any_longer, need::root, need::user_ns)
{
	NsChain chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		/* A limit of its own user namespace. */
		ASSERT_EQ(0, setns(chain.ns(1).get(), CLONE_NEWUSER));
		if (write_file("/proc/sys/user/max_pid_namespaces", "5"))
			SKIP(return, "needs user.max_pid_namespaces");
		for (int i = 0; i < 20; i++) {
			/* PID 1 of the level above is in use. */
			for (const Pids &pids : { Pids{}, Pids{ 1 }, Pids{ 1, 1 } }) {
				int error = ENOSPC;

				/* A grace period may pass until it is gone. */
				for (int ms = 0; ms < 5000 && error == ENOSPC; ms++) {
					if (ms)
						usleep(1000);
					error = Request{}.flags(CLONE_NEWPID).pids(pids).attempt();
				}
				ASSERT_ERRNO(pids.size() > 1 ? EEXIST : 0, error)
				TH_LOG("namespace %d, %zu PIDs", i, pids.size());
			}
		}
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The inner level has a next automatic PID, the outer one has none left: the
 * claim fails after the inner sequence has been used.
 */
TEST_REQUIRES(row16_failed_claim_skips_no_pid, need::root, need::ns_last_pid)
{
	const Shared<std::atomic<bool>> exhausted;
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned inner = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		const long before = last_pid();

		while (!*exhausted)
			sched_yield();
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
		EXPECT_EQ(before, last_pid());
	}));
	Spawned exhaust = run_in_child(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		/* See row 13: 300 is the only automatic PID then, and taken. */
		Spawned only = Request{}.pids({ 300 }).sleeping();
		SKIP_IF_MISSING(limit.need(301));
		EXPECT_ERRNO(0, set_last_pid(300));
		*exhausted = true;
		exits_within(inner.child, -1);
	}));

	EXPECT_CHECKS_PASS(exhaust);
	/* If the other one was skipped, nobody else sets it. */
	*exhausted = true;
	EXPECT_CHECKS_PASS(inner);
}

/* The claim fails in the middle: the outer levels give no PID. */
TEST_REQUIRES(row16_lost_ancestor_skips_no_pid, need::root)
{
	NsChain chain(3);

	ASSERT_ERRNO(0, chain.error());
	const HeldAtExit inner(chain.init(3));
	ASSERT_ERRNO(0, inner.error());
	ASSERT_ERRNO(0, chain.init(2).kill());
	ASSERT_ERRNO(0, inner.wait());

	auto next_at_level_1 = [&] { return nspids(chain.run_at(1, getpid).child).at(0); };
	const pid_t before = next_at_level_1();
	for (const Pids &pids : { Pids{}, Pids{ free_a }, Pids{ free_a, free_b } }) {
		const ChildrenIn scope(chain.ns(3));

		ASSERT_ERRNO(0, scope.error());
		EXPECT_ERRNO(ENOMEM, Request{}.pids(pids).attempt());
	}
	EXPECT_EQ(before + 1, next_at_level_1());
}

TEST_REQUIRES(row17_chosen_pid_leaves_the_sequence_alone, need::root, need::ns_last_pid)
{
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = chain.run_deepest(checks(_metadata, [&](auto *_metadata) {
		const pid_t first = next_automatic_pid();

		EXPECT_ERRNO(0, Request{}.pids({ free_a }).attempt());
		EXPECT_EQ(first, last_pid());
		EXPECT_EQ(first + 1, next_automatic_pid());

		/* In its way: the sequence goes on behind it. */
		Spawned c = Request{}.pids({ first + 2 }).sleeping();
		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(first + 1, last_pid());
		EXPECT_EQ(first + 3, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_HARNESS_MAIN
