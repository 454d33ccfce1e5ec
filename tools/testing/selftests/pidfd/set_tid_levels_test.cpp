// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid across levels of PID namespaces: the example that the
 * feature was asked for with, every number of requested levels, and the
 * deepest level that there is.
 *
 * rowNN in a test's name is the row of set_tid.rst that it shows. Level 0 is
 * the namespace that the test itself runs in.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/thread.hpp"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

/* The largest kernel.pid_max of 64-bit kernels, which systemd sets by default. */
static constexpr pid_t pid_max_limit = 4194304;

/* Null, or what is missing if the chain is not as long as it was asked to be. */
static const char *missing_levels(const NsChain &chain)
{
	return chain.error() == ENOSPC ? "needs the initial PID namespace and 32 more "
					 "(user.max_pid_namespaces)" :
					 nullptr;
}

/* PIDs for the levels from innermost out to 0: free ones in new namespaces. */
static Pids pids_for_levels(int innermost)
{
	Pids pids;

	for (int level = innermost; level > 0; level--)
		pids.push_back(1000 + level);
	pids.push_back(find_free_pid());
	return pids;
}

static Pids first(const Pids &pids, size_t count)
{
	return Pids(pids.begin(), pids.begin() + count);
}

namespace need
{
static const char *pid_31496()
{
	return pid_max() <= 31496 || pid_in_use(31496) ?
		       "needs PID 31496 to be free and below pid_max" :
		       nullptr;
}
} // namespace need

/*
 *	level 0: 31496
 *	level 1: 42
 *	level 2: 1
 */
FIXTURE(example)
{
	NsChain *level1;
};

FIXTURE_SETUP_REQUIRES(example, need::pid_ns, need::root, need::pid_31496)
{
	self->level1 = new NsChain(1);
	ASSERT_ERRNO(0, self->level1->error());
}

FIXTURE_TEARDOWN(example)
{
	delete self->level1;
}

TEST_F(example, row23_every_level_sees_the_pid_chosen_for_it)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		const Shared<std::atomic<pid_t>> own_view;
		const Request request = Request{}.flags(CLONE_NEWPID).pids({ 1, 42, 31496 });
		Spawned child = request.spawn([&] {
			*own_view = getpid();
			return pause();
		});

		ASSERT_ERRNO(0, child.error);
		EXPECT_EQ(42, child.child.pid());
		EXPECT_PIDS((Pids{ 1, 42, 31496 }), nspids(child.child));
		EXPECT_PIDS((Pids{ 1, 42, 31496 }), nspids("/proc/31496/status"));
		EXPECT_TRUE(wait_until([&] { return *own_view > 0; }));
		EXPECT_EQ(1, own_view->load());
	});

	EXPECT_CHECKS_PASS(self->level1->run_at(1, body));
	EXPECT_FALSE(pid_in_use(31496));
}

TEST_F(example, row23_the_two_innermost_are_chosen_and_level_0_is_automatic)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned child = Request{}.flags(CLONE_NEWPID).pids({ 1, 42 }).sleeping();

		ASSERT_ERRNO(0, child.error);
		EXPECT_EQ(42, child.child.pid());
		const Pids pids = nspids(child.child);
		ASSERT_EQ(3U, pids.size());
		EXPECT_PIDS((Pids{ 1, 42 }), first(pids, 2));
		EXPECT_PIDS(pids, nspids("/proc/" + std::to_string(pids[2]) + "/status"));
	});

	EXPECT_CHECKS_PASS(self->level1->run_at(1, body));
}

TEST_F(example, row11_each_level_has_its_own_numbers)
{
	/* 42 is free in level 1 whatever level 0 uses it for, and 31496 too. */
	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned child = Request{}.pids({ 31496, 31496 }).sleeping();

		ASSERT_ERRNO(0, child.error);
		EXPECT_PIDS((Pids{ 31496, 31496 }), nspids(child.child));
		EXPECT_ERRNO(EEXIST, Request{}.pids({ 31496 }).attempt());
		EXPECT_ERRNO(EEXIST, Request{}.pids({ 42, 31496 }).attempt());
		EXPECT_ERRNO(0, Request{}.pids({ 42 }).attempt());
	});

	EXPECT_CHECKS_PASS(self->level1->run_at(1, body));
}

TEST_REQUIRES(row07_every_number_of_levels_up_to_the_targets_can_be_requested, need::pid_ns,
	      need::root)
{
	const NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const Pids wanted = pids_for_levels(2);
	auto body = checks(_metadata, [&](auto *_metadata) {
		for (size_t count = 0; count <= wanted.size(); count++) {
			const Pids requested = first(wanted, count);
			Spawned child = Request{}.pids(requested).sleeping();

			ASSERT_ERRNO(0, child.error);
			const Pids got = nspids(child.child);
			ASSERT_EQ(3U, got.size());
			EXPECT_PIDS(requested, first(got, count));
		}

		Pids too_many = wanted;
		too_many.push_back(find_free_pid());
		EXPECT_ERRNO(EINVAL, Request{}.pids(too_many).attempt());
	});

	EXPECT_CHECKS_PASS(chain.run_at(2, body));
}

TEST_REQUIRES(row07_a_new_namespace_counts_as_a_level, need::pid_ns, need::root)
{
	const NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Pids wanted = pids_for_levels(2);
	wanted[0] = 1;
	auto body = checks(_metadata, [&](auto *_metadata) {
		for (size_t count = 0; count <= wanted.size(); count++) {
			const Pids requested = first(wanted, count);
			Spawned child = Request{}.flags(CLONE_NEWPID).pids(requested).sleeping();

			ASSERT_ERRNO(0, child.error);
			const Pids got = nspids(child.child);
			ASSERT_EQ(3U, got.size());
			EXPECT_EQ(1, got[0]);
			EXPECT_PIDS(requested, first(got, count));
		}

		/* The same PIDs without the new namespace are one too many. */
		EXPECT_ERRNO(EINVAL, Request{}.pids({ 1002, 1001, wanted[2] }).attempt());
		EXPECT_ERRNO(0, Request{}.pids({ 1001, wanted[2] }).attempt());

		Pids too_many = wanted;
		too_many.push_back(find_free_pid());
		EXPECT_ERRNO(EINVAL, Request{}.flags(CLONE_NEWPID).pids(too_many).attempt());
	});

	EXPECT_CHECKS_PASS(chain.run_at(1, body));
}

/* A chain down to the deepest level, 32, below which nothing can be created. */
FIXTURE(deepest)
{
	NsChain *chain;
	Pids *pids; /* for the levels 32 to 0 */
};

FIXTURE_SETUP_REQUIRES(deepest, need::pid_ns, need::root)
{
	self->chain = new NsChain(max_pid_ns_level);
	SKIP_IF_MISSING(missing_levels(*self->chain));
	ASSERT_ERRNO(0, self->chain->error());
	self->pids = new Pids(pids_for_levels(max_pid_ns_level));
	ASSERT_EQ(33U, self->pids->size());
}

FIXTURE_TEARDOWN(deepest)
{
	delete self->chain;
	delete self->pids;
}

TEST_F(deepest, row05_all_33_levels_can_be_requested)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned child = Request{}.pids(*self->pids).sleeping();

		ASSERT_ERRNO(0, child.error);
		EXPECT_EQ(self->pids->front(), child.child.pid());
		EXPECT_PIDS(*self->pids, nspids(child.child));

		clone_args args = Request{}.args();
		args.set_tid = ~0ULL;
		args.set_tid_size = 33;
		EXPECT_ERRNO(EFAULT, attempt(&args, sizeof(args)));
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

TEST_F(deepest, row05_the_first_process_of_level_32_can_have_all_33_requested)
{
	(*self->pids)[0] = 1;
	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned child = Request{}.flags(CLONE_NEWPID).pids(*self->pids).sleeping();

		ASSERT_ERRNO(0, child.error);
		EXPECT_PIDS(*self->pids, nspids(child.child));
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(31, body));
}

TEST_F(deepest, row05_all_but_level_0_can_be_requested)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		const Pids requested = first(*self->pids, 32);
		Spawned child = Request{}.pids(requested).sleeping();

		ASSERT_ERRNO(0, child.error);
		const Pids got = nspids(child.child);
		ASSERT_EQ(33U, got.size());
		EXPECT_PIDS(requested, first(got, 32));
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

TEST_F(deepest, row08_the_highest_pid_that_there_can_be)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		const Pids requested(32, pid_max_limit - 1);
		Sysctl limit("kernel/pid_max");

		SKIP_IF_MISSING(limit.need(pid_max_limit));
		Spawned child = Request{}.pids(requested).sleeping();
		Pids got = nspids(child.child);

		got.resize(32);
		EXPECT_ERRNO(0, child.error);
		EXPECT_PIDS(requested, got);
		EXPECT_ERRNO(EEXIST, Request{}.pids(requested).attempt());
		EXPECT_ERRNO(EINVAL, Request{}.pids(Pids(32, pid_max_limit)).attempt());
		child.child.end();
		EXPECT_ERRNO(0, Request{}.pids(requested).attempt());
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

/* No two of them share a node of the IDR. */
TEST_REQUIRES(row21_thousands_of_threads_with_tids_far_apart, need::pid_ns, need::root)
{
	constexpr int count = 2000, apart = 419;
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	auto body = checks(_metadata, [&](auto *_metadata) {
		std::vector<StartedThread> threads;
		std::atomic<int> stop = 0;
		Sysctl limit("kernel/pid_max");

		SKIP_IF_MISSING(limit.need(pid_max_limit));
		for (int i = 1; i <= count && _metadata->exit_code == KSFT_PASS; i++) {
			threads.push_back(Request{}.thread().pids({ i * apart }).start([&] {
				while (!stop)
					syscall(__NR_futex, &stop, FUTEX_WAIT, 0, nullptr, nullptr,
						0);
				return 0;
			}));
			EXPECT_ERRNO(0, threads.back().error);
			EXPECT_EQ(i * apart, threads.back().thread.tid());
		}
		EXPECT_ERRNO(EEXIST, Request{}.pids({ count * apart }).attempt());
		EXPECT_ERRNO(0, Request{}.pids({ count * apart - 1 }).attempt());
		stop = 1;
		syscall(__NR_futex, &stop, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
		threads.clear();
	});

	EXPECT_CHECKS_PASS(chain.run_at(1, body));
}

TEST_F(deepest, row05_34_pids_are_too_many_and_are_not_read)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		Pids pids = *self->pids;

		pids.push_back(find_free_pid());
		EXPECT_ERRNO(EINVAL, Request{}.pids(pids).attempt());

		clone_args args = Request{}.args();
		args.set_tid = ~0ULL;
		args.set_tid_size = 34;
		EXPECT_ERRNO(EINVAL, attempt(&args, sizeof(args)));
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

TEST_F(deepest, row07_33_pids_are_too_many_for_level_31)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		const Pids pids = *self->pids;

		EXPECT_ERRNO(EINVAL, Request{}.pids(pids).attempt());
		EXPECT_ERRNO(0, Request{}.pids(Pids(pids.begin() + 1, pids.end())).attempt());
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(31, body));
}

TEST_F(deepest, row07_there_is_no_level_33)
{
	auto body = checks(_metadata, [&](auto *_metadata) {
		Pids pids = *self->pids;

		/* Without set_tid, then with it: namespaces come before PIDs. */
		EXPECT_ERRNO(ENOSPC, Request{}.flags(CLONE_NEWPID).attempt());
		EXPECT_ERRNO(ENOSPC, Request{}.flags(CLONE_NEWPID).pids({ 1 }).attempt());
		EXPECT_ERRNO(ENOSPC, Request{}.flags(CLONE_NEWPID).pids(first(pids, 32)).attempt());
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

TEST_F(deepest, row05_a_busy_pid_in_level_0_leaves_the_other_32_levels_free)
{
	const pid_t busy = getpid();

	auto body = checks(_metadata, [&](auto *_metadata) {
		Pids refused = *self->pids;

		refused.back() = busy;
		EXPECT_ERRNO(EEXIST, Request{}.pids(refused).attempt());
		EXPECT_ERRNO(EEXIST, Request{}.pids(refused).attempt());
		EXPECT_ERRNO(0, Request{}.pids(*self->pids).attempt());
		/* A child that has come and gone leaves them free as well. */
		EXPECT_ERRNO(0, Request{}.pids(*self->pids).attempt());
	});

	EXPECT_CHECKS_PASS(self->chain->run_at(32, body));
}

TEST_HARNESS_MAIN
