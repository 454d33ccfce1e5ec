// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: a call that fails must leave nothing behind, wherever it
 * fails. Every allocation fails once, every step after the claim fails once, callers
 * are killed and namespaces die in the middle of a call.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/cgroup.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/held_at_exit.hpp"
#include "set_tid_lib/paused_call.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/thread.hpp"
#include "set_tid_lib/cpu.hpp"
#include "set_tid_lib/fault/aftermath.hpp"
#include "set_tid_lib/fault/fail_alloc.hpp"
#include "set_tid_lib/fault/killed_caller.hpp"
#include "set_tid_lib/fault/late_failure.hpp"
#include "set_tid_lib/fault/levels.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/*
 * fork() does not copy the page tables of shared memory. A call that stores a pidfd
 * there would allocate one, and fail with EFAULT if that fails.
 */
void map_here(const Shared<int> &pidfd)
{
	*pidfd = -1;
}

/* How the injection points of a case ended. */
struct Points {
	int failed = 0, claimed = 0, unharmed = 0;
};

/* One more point: either the call has failed and rolled everything back, or it has not. */
void expect_undone(struct __test_metadata *_metadata, Points &points, Aftermath &aftermath,
		   int error, const std::string &where)
{
	if (!error) {
		/* The kernel had a fallback for what failed. */
		points.unharmed++;
		return;
	}
	const Aftermath::Found found = aftermath.look();

	EXPECT_ERRNO(ENOMEM, error) TH_LOG("%s", where.c_str());
	EXPECT_TEXT("", found.wrong) TH_LOG("%s", where.c_str());
	points.failed++;
	points.claimed += found.claimed;
}

/* Some fail before the claim and, if that can be seen, some after it. */
void expect_points(struct __test_metadata *_metadata, const Points &points,
		   const Aftermath &aftermath)
{
	TH_LOG("%d injection points: %d failures, %d of them after the claim, %d with a substitute",
	       points.failed + points.unharmed, points.failed, points.claimed, points.unharmed);
	EXPECT_LT(10, points.failed - points.claimed);
	if (aftermath.counts_claims()) {
		EXPECT_LT(0, points.claimed);
	}
	EXPECT_GT(10, aftermath.disturbed());
}

/*
 * The init of a level has been killed: it ends, and so do the inits of the inner levels.
 * The outer levels work as before.
 */
void expect_end_of_levels(struct __test_metadata *_metadata, NsChain &chain,
			  const std::vector<Fd> &ns, int dying, const Pids &all)
{
	for (int level = chain.depth(); level >= dying; level--) {
		const bool ended = exits_within(chain.init(level), limit_ms);

		EXPECT_TRUE(ended) TH_LOG("the init of level %d, killed at %d", level, dying);
		if (!ended) {
			/* Do not wait for it, nor for those that wait for it. */
			for (; level; level--)
				chain.init(level).release();
			return;
		}
		chain.init(level).end();
	}
	const Pids outer(all.end() - dying, all.end());
	EXPECT_ERRNO(0,
		     dying > 1 ? claim_in(ns[dying - 2], outer) : Request{}.pids(outer).attempt());
}

} // namespace

/*
 * Which levels have an automatic PID: all (plain), the outer half, none.
 */
FIXTURE(allocation)
{
	NsChain *chain;
	Pids *pids;
};

FIXTURE_VARIANT(allocation)
{
	int level;
	int requested; /* at this many levels, or -1: all */
	bool new_nodes; /* the automatic PIDs of the levels below 0 need memory, too */
	pid_t pid_min; /* of the levels below 0, or 0: as it is */
};

FIXTURE_VARIANT_ADD(allocation, level_0_plain){ .level = 0, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_0_full){ .level = 0, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation, level_1_plain){ .level = 1, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_1_partial){ .level = 1, .requested = 1 };
FIXTURE_VARIANT_ADD(allocation, level_1_full){ .level = 1, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation, level_4_plain){ .level = 4, .requested = 0, .new_nodes = true };
FIXTURE_VARIANT_ADD(allocation, level_4_partial){ .level = 4, .requested = 2, .new_nodes = true };
FIXTURE_VARIANT_ADD(allocation, level_4_full){ .level = 4, .requested = -1 };
FIXTURE_VARIANT_ADD(allocation,
		    level_4_above_pid_min){ .level = 4, .requested = 2, .pid_min = 5000 };
FIXTURE_VARIANT_ADD(allocation, level_32_plain){ .level = 32, .requested = 0 };
FIXTURE_VARIANT_ADD(allocation, level_32_partial){ .level = 32, .requested = 16 };
FIXTURE_VARIANT_ADD(allocation, level_32_full){ .level = 32, .requested = -1 };

FIXTURE_SETUP_REQUIRES(allocation, need::root, need::failing_allocations, need::initial_pid_ns)
{
	if (variant->pid_min)
		SKIP_IF_MISSING(need::pid_min());
	self->chain = new NsChain(variant->level);
	ASSERT_ERRNO(0, self->chain->error());
	for (int level = 1; variant->pid_min && level <= variant->level; level++) {
		auto set = [&] { return set_pid_min(variant->pid_min); };

		ASSERT_EQ(0, self->chain->run_at(level, set).child.wait().code);
	}
	self->pids = new Pids(pids_for_levels(variant->level));
	if (variant->requested >= 0)
		self->pids->resize(variant->requested);
}

FIXTURE_TEARDOWN(allocation)
{
	delete self->chain;
	delete self->pids;
}

/*
 * The first process of a namespace that the caller has unshared, or that the
 * call creates as well.
 */
FIXTURE(first_process){};

FIXTURE_VARIANT(first_process)
{
	uint64_t flags;
	int requested;
};

FIXTURE_VARIANT_ADD(first_process, plain){ .flags = 0, .requested = 0 };
FIXTURE_VARIANT_ADD(first_process, pid_1){ .flags = 0, .requested = 1 };
FIXTURE_VARIANT_ADD(first_process, full){ .flags = 0, .requested = 2 };
FIXTURE_VARIANT_ADD(first_process, with_the_namespace){ .flags = CLONE_NEWPID, .requested = 2 };

FIXTURE_SETUP_REQUIRES(first_process, need::root, need::failing_allocations)
{
}

FIXTURE_TEARDOWN(first_process)
{
}

/* In a chain of three namespaces the init of one dies. */
FIXTURE(dying){};

FIXTURE_VARIANT(dying)
{
	int level;
};

FIXTURE_VARIANT_ADD(dying, outer){ .level = 1 };
FIXTURE_VARIANT_ADD(dying, middle){ .level = 2 };
FIXTURE_VARIANT_ADD(dying, innermost){ .level = 3 };

FIXTURE_SETUP_REQUIRES(dying, need::root)
{
}

FIXTURE_TEARDOWN(dying)
{
}

/*
 * From the first allocation of the call to the last one: each fails once. With
 * a pidfd, so that there are some after the claim, too.
 */
TEST_F_TIMEOUT(allocation, row14_each_fails_once, 3600)
{
	const Shared<int> pidfd;
	Request request = Request{}.flags(CLONE_PIDFD).pids(*self->pids);

	request.raw().pidfd = reinterpret_cast<uintptr_t>(&*pidfd);
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		auto scope = enter(*self->chain);
		map_here(pidfd);
		const Knob fail_nth("/proc/self/fail-nth");
		Points points;
		FailAlloc fail;

		/* Each CPU keeps nodes of earlier preloads: use those of one CPU only. */
		stay_on_this_cpu();
		Aftermath aftermath(*self->pids);
		fail.any_allocation();
		auto fail_each = [&] {
			for (int nth = 1, past_end = 0; past_end < 10; nth++) {
				long left = 0;

				if (variant->new_nodes)
					to_new_nodes(*self->chain, scope, aftermath);
				const int error = attempt_armed(
					request.args(), [&] { fail_nth.set(nth); },
					[&] {
						left = fail_nth.get();
						fail_nth.set(0);
					});

				if (!error) {
					close(*pidfd);
					aftermath.resync();
				}
				if (left) {
					EXPECT_ERRNO(0, error);
					past_end++;
					continue;
				}
				past_end = 0;
				expect_undone(_metadata, points, aftermath, error,
					      "allocation " + std::to_string(nth));
			}
		};
		/*
		 * Few allocations come after the claim, and calls differ in how many come
		 * before it: a sequence needs a node, a slab a page. One pass may miss them.
		 */
		for (int pass = 0; pass < 4; pass++) {
			fail_each();
			if (points.claimed || !aftermath.counts_claims())
				break;
		}
		expect_points(_metadata, points, aftermath);
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The same for slab objects, but after the first that fails all others fail, too,
 * also those that a preload replaces.
 */
TEST_F_TIMEOUT(allocation, row14_all_fail_from_one_on, 3600)
{
	/* No slab object is larger: what is larger gets pages of its own. */
	constexpr long largest = 16384, step = 256;
	const Shared<int> pidfd;
	Request request = Request{}.flags(CLONE_PIDFD).pids(*self->pids);

	request.raw().pidfd = reinterpret_cast<uintptr_t>(&*pidfd);
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		auto scope = enter(*self->chain);
		map_here(pidfd);
		Points points;
		const std::string space_path = FailAlloc::slab("space");
		FailAlloc fail;

		stay_on_this_cpu();
		Aftermath aftermath(*self->pids);
		fail.any_allocation();
		fail.all_of_slab(-1);
		fail.set(space_path, "0");
		const Knob space(space_path), make_it_fail("/proc/self/make-it-fail");
		for (long bytes = 0;; bytes += step) {
			long left = 0;

			if (variant->new_nodes)
				to_new_nodes(*self->chain, scope, aftermath);
			const int error = attempt_armed(
				request.args(),
				[&] {
					space.set(bytes);
					make_it_fail.set(1);
				},
				[&] {
					make_it_fail.set(0);
					left = read_number(space_path);
				});

			if (!error) {
				close(*pidfd);
				aftermath.resync();
			}
			if (left > largest) {
				EXPECT_ERRNO(0, error);
				break;
			}
			expect_undone(_metadata, points, aftermath, error,
				      "after " + std::to_string(bytes) + " bytes");
		}
		expect_points(_metadata, points, aftermath);
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * All allocations that may not sleep fail, and the claim needs nodes for 33 IDRs
 * under a lock: far more than one preload has.
 */
TEST_REQUIRES(row14_memory_that_can_be_waited_for, need::root, need::failing_allocations,
	      need::initial_pid_ns)
{
	const pid_t far = pid_max() - 2;
	NsChain chain(max_pid_ns_level);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const ChildrenIn scope(chain.deepest());
		ASSERT_ERRNO(0, scope.error());
		constexpr long many = 1000000;
		FailAlloc fail;

		fail.set(FailAlloc::slab("ignore-gfp-wait"), "Y");
		fail.all_of_slab(many);
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "1"));
		EXPECT_ERRNO(0, Request{}.pids(Pids(chain.depth(), far)).attempt());
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "0"));
		/* Allocations under the lock were tried, and failed. */
		EXPECT_GT(many - chain.depth(), read_number(FailAlloc::slab("times")));
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * The first process of a namespace, with every allocation failing once: after
 * each failure another one becomes PID 1 of the same namespace.
 */
TEST_F_TIMEOUT(first_process, row19_every_allocation_may_fail, 3600)
{
	const Pids pids = variant->requested < 2 ? Pids(variant->requested, 1) :
						   Pids{ 1, find_free_pid() };
	Request request = Request{}.pids(pids).flags(variant->flags | CLONE_PIDFD);
	const Shared<bool> over;
	const Shared<int> pidfd;
	int nth;

	/* With a pidfd, so that there are some after the claim, too. */
	request.raw().pidfd = reinterpret_cast<uintptr_t>(&*pidfd);

	for (nth = 1; !*over && _metadata->exit_code == KSFT_PASS; nth++) {
		Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
			const Knob fail_nth("/proc/self/fail-nth");
			long left = 0;
			int error;

			map_here(pidfd);
			if (!variant->flags) {
				ASSERT_EQ(0, unshare(CLONE_NEWPID));
			}
			{
				FailAlloc fail;

				fail.any_allocation();
				error = attempt_armed(
					request.args(), [&] { fail_nth.set(nth); },
					[&] {
						left = fail_nth.get();
						fail_nth.set(0);
					});
			}
			*over = left;
			if (!error)
				return;
			EXPECT_ERRNO(ENOMEM, error) TH_LOG("allocation %d", nth);
			Spawned init = request.spawn(getpid);
			ASSERT_ERRNO(0, init.error) TH_LOG("after allocation %d", nth);
			if (pids.size() > 1) {
				EXPECT_EQ(pids[1], init.child.pid());
			}
			EXPECT_EQ(1, init.child.wait().code);
		}));

		EXPECT_CHECKS_PASS(task);
	}
	TH_LOG("%d injection points", nth - 2);
	EXPECT_LT(10, nth - 2);
}

TEST_REQUIRES(row18_late_failure_leaves_nothing_behind, need::root)
{
	const Pids all = { free_a, free_b, find_free_pid() };
	const Cgroup full;
	NsChain chain(2);

	SKIP_IF_MISSING(full.missing());
	ASSERT_ERRNO(0, full.set("pids.max", "0"));
	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(2));
	for (const LateFailure &late : late_failures(full)) {
		for (size_t size = 0; size <= all.size(); size++) {
			const Pids pids(all.begin(), all.begin() + size);
			Aftermath aftermath(pids);

			EXPECT_ERRNO(late.error, late.call(pids))
			TH_LOG("%s, %zu PIDs", late.what, size);
			/* At once, not some time later. */
			const Aftermath::Found found = aftermath.look();
			EXPECT_TEXT("", found.wrong) TH_LOG("%s, %zu PIDs", late.what, size);
			/* Without an automatic level below 0 another process may look like the claim. */
			if (aftermath.counts_claims() && (late.claims || size < 2)) {
				EXPECT_EQ(late.claims, found.claimed)
				TH_LOG("%s, %zu PIDs", late.what, size);
			}
		}
	}
}

/* The kernel has never checked whether it could store the PID, and does not now. */
TEST_REQUIRES(row18_bad_tid_pointer_is_no_failure, need::root)
{
	for (uint64_t flag : { CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID }) {
		const pid_t pid = find_free_pid();
		Request request = Request{}.flags(flag).pids({ pid });

		request.raw().parent_tid = ~0ULL - 7;
		request.raw().child_tid = ~0ULL - 7;
		Spawned c = request.spawn([] { return 42; });
		ASSERT_ERRNO(0, c.error);
		EXPECT_EQ(pid, c.child.pid());
		EXPECT_EQ(42, c.child.wait().code);
		EXPECT_FALSE(pid_in_use(pid));
	}
}

/*
 * A caller is killed, most of the time between the claim and the birth of the child:
 * there it waits for the lock that the CgroupMover holds.
 */
TEST_REQUIRES(row18_killed_caller_leaves_no_pid, need::root)
{
	constexpr int least = 20, most = 400;
	const Cgroup cgroup;
	NsChain chain(2);
	int killed = 0, unborn = 0;

	SKIP_IF_MISSING(cgroup.missing());
	ASSERT_ERRNO(0, chain.error());
	CgroupMover other(cgroup);
	ASSERT_ERRNO(0, other.error());
	const Request request = Request{}.into_cgroup(cgroup.dir()).pids({ free_a });

	while (_metadata->exit_code == KSFT_PASS && killed < most &&
	       (unborn < least || killed < most / 10)) {
		/* Each claim, and nothing else, takes an automatic PID of level 1. */
		const pid_t before = probe_in(chain.ns(2)).pids[1];
		EndlessCaller caller(request, chain.ns(2));

		EXPECT_TRUE(caller.has_started());
		caller.kill_while_it_waits();
		killed++;
		/* A child that was made ends as well, and is reaped by init. */
		EXPECT_TRUE(wait_until([&] { return !claim_in(chain.ns(2), { free_a }); }));

		const pid_t after = probe_in(chain.ns(2)).pids[1];
		unborn += after - before - 2 - caller.born();
		for (pid_t pid = before; pid <= after && _metadata->exit_code == KSFT_PASS; pid++) {
			EXPECT_ERRNO(0, claim_in(chain.ns(2), { free_a, pid }));
		}
	}
	EXPECT_ERRNO(0, other.stop());
	TH_LOG("killed %d times, %d of them between the claim and the birth", killed, unborn);
	if (_metadata->exit_code == KSFT_PASS) {
		EXPECT_LE(least, unborn);
	}
}

/* A claimed PID is in use at its level before there is a task. */
TEST_REQUIRES(row11_claim_that_stands_is_in_use_at_every_level, need::root, need::userfaultfd)
{
	const pid_t host = find_free_pid();
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	PausedCall call(chain.ns(2), { free_a, free_b, host });
	ASSERT_TRUE(call.paused());
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(2), { free_a }));
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(1), { free_b }));
	EXPECT_ERRNO(EEXIST, Request{}.pids({ host }).attempt());
	EXPECT_ERRNO(EEXIST, claim_in(chain.ns(2), { free_c, free_b, host }));
	EXPECT_ERRNO(0, claim_in(chain.ns(2), { free_c, free_a }));
	EXPECT_ERRNO(0, call.finish());
	EXPECT_ERRNO(0, claim_in(chain.ns(2), { free_a, free_b, host }));
}

TEST_REQUIRES(row18_caller_killed_while_its_claim_stands, need::root, need::userfaultfd)
{
	const Pids all = { free_a, free_b, find_free_pid() };
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	for (size_t size = 0; size <= all.size(); size++) {
		const Pids pids(all.begin(), all.begin() + size);
		std::optional<Aftermath> aftermath;

		{
			const ChildrenIn scope(chain.ns(2));
			aftermath.emplace(pids);
		}
		PausedCall call(chain.ns(2), pids);
		ASSERT_TRUE(call.paused());
		call.caller().end();

		const ChildrenIn scope(chain.ns(2));
		EXPECT_TEXT("", aftermath->look().wrong) TH_LOG("%zu PIDs", size);
	}
}

/*
 * An init, of the target or of an outer level, starts to exit between a claim and
 * the birth of the child. The inits of the inner levels are held just before their
 * own namespaces stop accepting processes.
 */
TEST_REQUIRES(row12_init_dies_while_a_claim_stands, need::root, need::userfaultfd)
{
	constexpr int depth = 3;
	const Pids all = { free_a, free_b, free_c, find_free_pid() };

	for (int dying = depth; dying >= 1; dying--) {
		NsChain chain(depth);
		std::vector<Fd> ns;

		ASSERT_ERRNO(0, chain.error());
		for (int level = 1; level <= depth; level++)
			ns.push_back(open_ns(chain.init(level)));
		PausedCall call(ns[depth - 1], all);
		ASSERT_TRUE(call.paused());
		std::vector<HeldAtExit> held;
		for (int level = dying + 1; level <= depth; level++)
			held.emplace_back(chain.init(level));
		chain.init(dying).kill();
		for (const HeldAtExit &inner : held)
			ASSERT_ERRNO(0, inner.wait());
		/* The init may not have got there yet. */
		EXPECT_TRUE(wait_until(
			[&] { return claim_in(ns[dying - 1], { free_a - 1 }) == ENOMEM; }));

		EXPECT_ERRNO(ENOMEM, call.finish()) TH_LOG("level %d is dying", dying);
		held.clear();
		expect_end_of_levels(_metadata, chain, ns, dying, all);
	}
}

/* As above, at any moment: another task creates processes there all the time. */
TEST_F_TIMEOUT(dying, row12_init_dies_while_others_create_processes, 3600)
{
	constexpr int depth = 3, rounds = 8;
	const Pids all = { free_a, free_b, free_c, find_free_pid() };

	for (int round = 0; round < rounds; round++) {
		const Shared<std::atomic<int>> calls;
		NsChain chain(depth);
		std::vector<Fd> ns;

		ASSERT_ERRNO(0, chain.error());
		for (int level = 1; level <= depth; level++)
			ns.push_back(open_ns(chain.init(level)));
		Spawned others = run_in_child([&] {
			const ChildrenIn scope(ns[depth - 1]);
			const Pids pids(all.begin(), all.begin() + round % (depth + 2));
			int error;

			while (!(error = Request{}.pids(pids).attempt()))
				++*calls;
			return error;
		});
		EXPECT_TRUE(wait_until([&] { return *calls > 2; }));
		chain.init(variant->level).kill();
		EXPECT_ERRNO(ENOMEM, wait_or_kill(others.child).code);
		expect_end_of_levels(_metadata, chain, ns, variant->level, all);
	}
}

/*
 * The init that dies is a thread whose leader has exited before: it has two PIDs of its
 * own. It waits for a process that somebody outside reaps, and must be woken up then.
 */
TEST_REQUIRES(row12_init_without_its_leader_waits_for_the_last_process, need::root)
{
	struct Steps {
		std::atomic<bool> leave = false, alone = false;
	};
	const Shared<Steps> steps;
	Spawned init = Request{}.flags(CLONE_NEWPID).spawn([&] {
		StartedThread left = Request{}.thread().start([&] {
			while (!steps->leave || state_in("/proc/self/stat") != 'Z')
				sched_yield();
			steps->alone = true;
			for (;;)
				syscall(__NR_pause);
			return 0;
		});

		while (!steps->leave)
			sched_yield();
		syscall(__NR_exit, 0);
		return 0;
	});

	ASSERT_ERRNO(0, init.error);
	/* After the leader has exited, /proc shows no namespace of it any more. */
	const Fd ns = open_ns(init.child);
	steps->leave = true;
	ASSERT_TRUE(wait_until([&] { return steps->alone.load(); }));

	const ChildrenIn scope(ns);
	ASSERT_ERRNO(0, scope.error());
	Spawned last = Request{}.sleeping();
	ASSERT_ERRNO(0, last.error);
	ASSERT_ERRNO(0, init.child.kill());
	last.child.wait_zombie();
	EXPECT_FALSE(exits_within(init.child, 200));
	last.child.wait();
	const bool ended = exits_within(init.child, 10000);
	EXPECT_TRUE(ended);
	if (!ended)
		init.child.release();
}

TEST_REQUIRES(row19_first_process_may_fail_late, need::root)
{
	const pid_t host = find_free_pid();
	const Cgroup full;

	SKIP_IF_MISSING(full.missing());
	EXPECT_ERRNO(0, full.set("pids.max", "0"));
	for (const LateFailure &late : late_failures(full)) {
		for (const Pids &pids : { Pids{}, Pids{ 1 }, Pids{ 1, host } }) {
			Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
				ASSERT_EQ(0, unshare(CLONE_NEWPID));
				EXPECT_ERRNO(late.error, late.call(pids));
				EXPECT_ERRNO(late.error, late.call(pids));

				Spawned init = Request{}.pids(pids).spawn(getpid);
				ASSERT_ERRNO(0, init.error) TH_LOG("after: %s", late.what);
				EXPECT_EQ(1, init.child.wait().code);
			}));

			EXPECT_CHECKS_PASS(task);
		}
	}
}

TEST_HARNESS_MAIN
