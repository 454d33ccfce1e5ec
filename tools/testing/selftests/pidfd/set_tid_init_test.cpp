// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: a PID namespace whose init somebody else creates. It can
 * be entered before it has one; whoever is in it creates the init, and nobody gets
 * another PID there before.
 *
 * A kernel that hands out PID 2 first must survive these tests. It would crash if a
 * process without a reaper left children behind.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst. Races are in set_tid_race_test.cpp.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/held_at_exit.hpp"
#include "set_tid_lib/initless_ns.hpp"
#include "set_tid_lib/paused_call.hpp"
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
#include <linux/capability.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/* Root stays root; a user gets a user namespace. Null, or what is missing. */
const char *become_caller(bool user)
{
	if (!user)
		return nullptr;
	if (become_user() || unshare(CLONE_NEWUSER))
		return "needs the right to make a user namespace as a user";
	return nullptr;
}

/* Allows users to pause a call, until the end of the scope. */
class UserFaults {
public:
	explicit UserFaults(bool needed)
	{
		if (needed)
			allowed_.set(1);
	}

private:
	Sysctl allowed_{ "vm/unprivileged_userfaultfd" };
};

/*
 * The errno of a call in a namespace, or 0. A process of its own makes it, since not
 * everybody who enters can come back. become() is called in between.
 */
int attempt_in(const Fd &ns, const Request &request, const std::function<int()> &become = nullptr)
{
	Spawned task = run_in_child([&] {
		if (setns(ns.get(), CLONE_NEWPID))
			return errno;
		if (const int error = become ? become() : 0)
			return error;
		return request.attempt();
	});

	return task.error ? task.error : task.child.wait().code;
}

int attempt_in(const Fd &ns, const Pids &pids)
{
	return attempt_in(ns, Request{}.pids(pids));
}

/* Fails after its PIDs have been claimed. */
Request late_failure(const Pids &pids)
{
	Request request = Request{}.pids(pids).flags(CLONE_PIDFD);

	request.raw().pidfd = ~0ULL - 7;
	return request;
}

/*
 * Creates the first process of a namespace whose parent has lost its init, but still
 * waits for another process to end. Returns an errno, or 0. A kernel that allows this
 * does not crash yet.
 */
int attempt_below_dying_parent(const Pids &pids)
{
	NsChain chain(1);
	InitlessNs fresh(chain);
	const Fd parent = open_ns(chain.init(1));
	Spawned last = chain.run_at(1, [] {
		pause();
		return 0;
	});

	if (chain.error() || fresh.error() || last.error)
		return ECHILD;
	fresh.creator().end();
	chain.init(1).kill();
	last.child.wait_zombie();
	if (!wait_until([&] { return attempt_in(parent, { free_a }) == ENOMEM; }))
		return ETIMEDOUT;
	const int error = attempt_in(fresh.ns(), pids);
	last.child.end();
	return error;
}

/* Asked for by somebody else while PID 1 is claimed. */
struct Wanted {
	Pids pids;
	int error;
	int times;
};

struct Steps {
	std::atomic<bool> attached = false, over = false;
};

/*
 * Another process that has entered. A child that it gets stays, without children of
 * its own, while the namespace has no init. Nobody has to reap it for the init to end.
 */
template <typename Metadata>
void ask_for_all(Metadata *_metadata, const Fd &ns, const std::vector<Wanted> &all, Steps &steps)
{
	signal(SIGCHLD, SIG_IGN);
	ASSERT_EQ(0, setns(ns.get(), CLONE_NEWPID));
	for (const Wanted &wanted : all) {
		for (int i = 0; i < wanted.times; i++) {
			Spawned c = Request{}.pids(wanted.pids).sleeping();

			EXPECT_ERRNO(wanted.error, c.error)
			TH_LOG("PIDs %s", to_string(wanted.pids).c_str());
			if (c.error)
				continue;
			steps.attached = true;
			wait_until([&] { return steps.over.load(); });
			return;
		}
	}
}

} // namespace

namespace need
{
/*
 * Below a parent that has ended, Linux 6.12 creates the process and later wakes up a
 * task that has been freed. Do not try that without KASAN.
 */
static const char *check_of_all_levels()
{
	if (attempt_below_dying_parent({}) == ENOMEM)
		return nullptr;
	if (read_file("/proc/kallsyms").find(" kasan_report\n") != std::string::npos &&
	    read_number("/proc/sys/kernel/panic_on_warn") == 0)
		return nullptr;
	return "needs a kernel that looks at all levels when PIDs are claimed, or KASAN and kernel.panic_on_warn=0";
}
} // namespace need

/* How the namespace is entered, and by whom. */
FIXTURE(entered){};

FIXTURE_VARIANT(entered)
{
	InitlessNs::Open open;
	bool as_user;
};

FIXTURE_VARIANT_ADD(entered, by_pidfd){ .open = children_ns_by_pidfd, .as_user = false };
FIXTURE_VARIANT_ADD(entered, by_proc){ .open = children_ns_by_proc, .as_user = false };
FIXTURE_VARIANT_ADD(entered, by_pidfd_as_user){ .open = children_ns_by_pidfd, .as_user = true };
FIXTURE_VARIANT_ADD(entered, by_proc_as_user){ .open = children_ns_by_proc, .as_user = true };

FIXTURE_SETUP_REQUIRES(entered, need::root)
{
	if (variant->as_user) {
		SKIP_IF_MISSING(need::user_ns());
	}
}

FIXTURE_TEARDOWN(entered)
{
}

/* A's clone3() is paused with PID 1 claimed: B gets no PID, however often it asks. */
TEST_F_REQUIRES(entered, row09_no_pid_while_the_init_is_being_made, need::userfaultfd)
{
	const UserFaults allowed(variant->as_user);
	const pid_t host = find_free_pid();
	const int outer = variant->as_user ? EPERM : EEXIST;
	const std::vector<Wanted> wanted = {
		{ {}, EINVAL, 64 },	   { { 2 }, EINVAL, 1 },       { { 1 }, EEXIST, 1 },
		{ { 1, host }, outer, 1 }, { { 2, host }, EINVAL, 1 }, { {}, EINVAL, 1 },
	};
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		SKIP_IF_MISSING(become_caller(variant->as_user));
		for (const Pids &pids : { Pids{}, Pids{ 1 } }) {
			const Shared<Steps> steps;
			InitlessNs fresh({}, variant->open);
			ASSERT_ERRNO(0, fresh.error());
			PausedCall call(fresh.ns(), pids);
			ASSERT_TRUE(call.paused());
			Spawned other = run_in_child(checks(_metadata, [&](auto *_metadata) {
				ask_for_all(_metadata, fresh.ns(), wanted, *steps);
			}));

			EXPECT_TRUE(wait_until(
				[&] { return steps->attached || exits_within(other.child, 0); }));
			/* Not before there is an init. */
			EXPECT_ERRNO(0, call.finish());
			steps->over = true;
			EXPECT_CHECKS_PASS(other);
		}
	}));

	EXPECT_CHECKS_PASS(task);
}

/* Calls that fail late, in turn with others, leave the namespace to the next one. */
TEST_F_REQUIRES(entered, row19_one_fails_late_and_another_becomes_init, need::userfaultfd)
{
	const UserFaults allowed(variant->as_user);
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		SKIP_IF_MISSING(become_caller(variant->as_user));
		for (const bool paused : { false, true }) {
			InitlessNs fresh({}, variant->open);
			ASSERT_ERRNO(0, fresh.error());
			for (int round = 0; round < 6; round++) {
				const Pids pids(round % 2, 1);
				PausedCall call(fresh.ns(), pids);
				ASSERT_TRUE(call.paused());
				EXPECT_ERRNO(EINVAL, attempt_in(fresh.ns(), late_failure({})));
				EXPECT_ERRNO(EEXIST, attempt_in(fresh.ns(), late_failure({ 1 })));
				call.caller().end();
				EXPECT_ERRNO(EFAULT, attempt_in(fresh.ns(), late_failure(pids)));
			}
			if (paused) {
				PausedCall call(fresh.ns(), {});
				ASSERT_TRUE(call.paused());
				EXPECT_ERRNO(EINVAL, attempt_in(fresh.ns(), late_failure({})));
				EXPECT_ERRNO(0, call.finish());
			} else {
				EXPECT_ERRNO(0, attempt_in(fresh.ns(), { 1 }));
			}
			/* It was the init. */
			EXPECT_ERRNO(ENOMEM, attempt_in(fresh.ns(), Pids{}));
		}
	}));

	EXPECT_CHECKS_PASS(task);
}

/* The creator has exited. Requests that are refused change nothing. */
TEST_F(entered, row27_whoever_has_entered_creates_the_init)
{
	for (const Pids &pids : { Pids{}, Pids{ 1 } }) {
		Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
			SKIP_IF_MISSING(become_caller(variant->as_user));
			InitlessNs fresh({}, variant->open);
			ASSERT_ERRNO(0, fresh.error());
			fresh.creator().end();
			ASSERT_EQ(0, setns(fresh.ns().get(), CLONE_NEWPID));
			EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).attempt());
			EXPECT_ERRNO(EINVAL, Request{}.thread().attempt());
			EXPECT_ERRNO(EINVAL, Request{}.thread().pids({ 1 }).attempt());
			EXPECT_ERRNO(EINVAL, Request{}.flags(CLONE_NEWPID).attempt());
			EXPECT_ERRNO(EFAULT, late_failure(pids).attempt());

			Spawned init = Request{}.pids(pids).sleeping();
			ASSERT_ERRNO(0, init.error);
			EXPECT_EQ(1, nspids(init.child)[0]);
			EXPECT_ERRNO(EEXIST, Request{}.pids({ 1 }).attempt());
			EXPECT_ERRNO(EINVAL, Request{}.thread().attempt());
			EXPECT_ERRNO(0, Request{}.pids({ free_a }).attempt());
			Spawned second = run_in_child(getpid);
			EXPECT_EQ(2, second.child.wait().code);
			EXPECT_ERRNO(0, attempt_in(fresh.ns(), { 2 }));
			init.child.end();
			EXPECT_ERRNO(ENOMEM, Request{}.attempt());
		}));

		EXPECT_CHECKS_PASS(task);
	}
}

/* By a process in an outer namespace. Each level gets the PID that is asked for. */
TEST_REQUIRES(row27_from_an_outer_namespace, need::root)
{
	const pid_t host = find_free_pid();
	const Pids all = { 1, free_a, free_b, free_c, host };
	NsChain chain(3), beside(1);

	ASSERT_ERRNO(0, chain.error());
	ASSERT_ERRNO(0, beside.error());
	for (const auto open : { children_ns_by_pidfd, children_ns_by_proc }) {
		InitlessNs fresh(chain, open);
		ASSERT_ERRNO(0, fresh.error());
		auto enter = [&] { return setns(fresh.ns().get(), CLONE_NEWPID) ? errno : 0; };
		EXPECT_ERRNO(EINVAL, beside.run_at(1, enter).child.wait().code);

		EXPECT_CHECKS_PASS(chain.run_at(
			2, checks(_metadata, [&](auto *_metadata) {
				ASSERT_ERRNO(0, enter());
				EXPECT_ERRNO(EINVAL,
					     Request{}.pids({ 2, free_a, free_b }).attempt());
				EXPECT_ERRNO(EEXIST, Request{}.pids({ 1, 1 }).attempt());
				EXPECT_ERRNO(EFAULT, late_failure({ 1, free_a, free_b }).attempt());
			})));
		EXPECT_CHECKS_PASS(run_in_child(checks(_metadata, [&](auto *_metadata) {
			ASSERT_ERRNO(0, enter());
			EXPECT_ERRNO(EEXIST, Request{}.pids({ 1, free_a, free_b, 1 }).attempt());
			EXPECT_ERRNO(EFAULT, late_failure(all).attempt());
			Spawned init = Request{}.pids(all).sleeping();
			ASSERT_ERRNO(0, init.error);
			EXPECT_PIDS(all, nspids(init.child));
		})));
	}
}

/* Who may choose: the owner of the namespace, and those of the outer levels. */
TEST_REQUIRES(row10_each_level_of_a_namespace_without_an_init_has_its_owner, need::root,
	      need::user_ns)
{
	using Caps = std::initializer_list<int>;
	static const Caps admin = { CAP_SYS_ADMIN }, restore = { CAP_CHECKPOINT_RESTORE }, none;
	const pid_t host = find_free_pid();
	const struct {
		int user; /* the user namespace: how many levels further in */
		const Caps &caps;
		Pids pids;
		int error;
	} all[] = {
		{ 0, admin, { 1, free_a, host }, 0 },
		{ 0, restore, { 1, free_a, host }, 0 },
		{ 1, admin, { 1, free_a }, 0 },
		{ 1, admin, { 1, free_a, host }, EPERM },
		{ 1, restore, { 1, free_a }, 0 },
		{ 1, none, { 1, free_a }, EPERM },
		{ 2, admin, { 1 }, 0 },
		{ 2, admin, { 1, free_a }, EPERM },
		{ 2, restore, { 1 }, 0 },
		{ 2, none, { 1 }, EPERM },
		{ 2, none, {}, 0 },
	};
	NsChain chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	for (const auto &one : all) {
		InitlessNs fresh(chain, children_ns_by_pidfd, [&] {
			const bool failed = setns(chain.ns(1).get(), CLONE_NEWUSER) ||
					    unshare(CLONE_NEWUSER);
			return failed ? errno : 0;
		});
		ASSERT_ERRNO(0, fresh.error());
		auto become = [&] {
			const Child &owner = one.user == 1 ? chain.init(1) : fresh.creator();

			if (one.user && setns(owner.pidfd().get(), CLONE_NEWUSER))
				return errno;
			return keep_capabilities(one.caps);
		};
		EXPECT_ERRNO(one.error, attempt_in(fresh.ns(), Request{}.pids(one.pids), become))
		TH_LOG("user namespace %d, PIDs %s", one.user, to_string(one.pids).c_str());
		/* A request that was refused has left it as it was. */
		EXPECT_ERRNO(one.error ? 0 : ENOMEM, attempt_in(fresh.ns(), Pids{}));
	}
}

/* The parent namespace, or its parent, dies while the call for PID 1 is paused. */
TEST_REQUIRES(row12_ancestor_dies_while_the_init_is_being_made, need::root, need::userfaultfd)
{
	const Pids all = { 1, free_a, free_b, find_free_pid() };

	for (const size_t size : { 0, 1, 4 }) {
		for (const int dying : { 2, 1 }) {
			const Pids pids(all.begin(), all.begin() + size);
			NsChain chain(2);
			ASSERT_ERRNO(0, chain.error());
			const Fd ns = open_ns(chain.init(dying));
			InitlessNs fresh(chain);
			ASSERT_ERRNO(0, fresh.error());
			fresh.creator().end();
			PausedCall call(fresh.ns(), pids);
			ASSERT_TRUE(call.paused());
			std::vector<HeldAtExit> held;
			if (dying == 1)
				held.emplace_back(chain.init(2));
			chain.init(dying).kill();
			for (const HeldAtExit &inner : held)
				ASSERT_ERRNO(0, inner.wait());
			EXPECT_TRUE(
				wait_until([&] { return attempt_in(ns, { free_c }) == ENOMEM; }));

			ASSERT_ERRNO(ENOMEM, call.finish()) TH_LOG("level %d is dying", dying);
			/* In use would be answered first. */
			EXPECT_ERRNO(ENOMEM, attempt_in(fresh.ns(), pids));
			EXPECT_ERRNO(ENOMEM, attempt_in(fresh.ns(), { 1 }));
			held.clear();
			for (int level = 2; level >= dying; level--) {
				EXPECT_TRUE(exits_within(chain.init(level), limit_ms));
				chain.init(level).end();
			}
			if (size == 4) {
				EXPECT_ERRNO(0, Request{}.pids({ all[3] }).attempt());
			}
		}
	}
}

TEST_REQUIRES(row12_parent_is_dying, need::root)
{
	for (const Pids &pids :
	     { Pids{}, Pids{ 1 }, Pids{ 1, free_a }, Pids{ 1, free_a, find_free_pid() } }) {
		EXPECT_ERRNO(ENOMEM, attempt_below_dying_parent(pids))
		TH_LOG("PIDs %s", to_string(pids).c_str());
	}
}

/* Of the parent only its memory is left, as long as it has a child. */
TEST_REQUIRES(row12_parent_is_dead, need::root, need::check_of_all_levels)
{
	constexpr int times = 100;
	const pid_t host = find_free_pid();

	for (const int depth : { 1, 3 }) {
		NsChain chain(depth);
		ASSERT_ERRNO(0, chain.error());
		InitlessNs fresh(chain);
		ASSERT_ERRNO(0, fresh.error());
		fresh.creator().end();
		for (int level = depth; level; level--)
			chain.init(level).end();

		Spawned outside = run_in_child(checks(_metadata, [&](auto *_metadata) {
			ASSERT_EQ(0, setns(fresh.ns().get(), CLONE_NEWPID));
			/* Each process that is created does harm: stop at the first. */
			for (int i = 0; i < times; i++) {
				ASSERT_ERRNO(ENOMEM, Request{}.attempt());
				ASSERT_ERRNO(ENOMEM, Request{}.pids({ 1 }).attempt());
				ASSERT_ERRNO(ENOMEM, Request{}.pids({ 1, free_a }).attempt());
				ASSERT_ERRNO(ENOMEM, late_failure({}).attempt());
			}
			EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).attempt());
			if (depth == 1) {
				EXPECT_ERRNO(ENOMEM, Request{}.pids({ 1, 1, host }).attempt());
			}
		}));

		EXPECT_CHECKS_PASS(outside);
	}
}

TEST_HARNESS_MAIN
