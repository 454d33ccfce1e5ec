// SPDX-License-Identifier: GPL-2.0
/*
 * clone3() with set_tid: all or nothing. A claim is seen whole or not at all,
 * a failure leaves nothing behind, and of several callers one wins.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "../kselftest_harness.h"
#include "set_tid.hpp"

#include <sys/resource.h>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002, free_c = 1003;

/* The next one who asks for a PID from the automatic sequence gets this. */
pid_t next_automatic_pid()
{
	Spawned c = run_in_child([] { return 0; });

	return c.child.pid();
}

/*
 * Slab allocations that fail. The settings are those of the whole system, but
 * they apply to tasks that ask for it: /proc/self/fail-nth, make-it-fail.
 */
class FailSlab {
public:
	static const char *missing()
	{
		return access(dir, F_OK) || access("/proc/self/fail-nth", F_OK) ?
			       "needs CONFIG_FAILSLAB with debugfs in /sys/kernel/debug" :
			       nullptr;
	}
	FailSlab()
	{
		set("task-filter", "Y");
		set("verbose", "0");
	}
	FailSlab(const FailSlab &) = delete;
	~FailSlab()
	{
		while (!saved_.empty()) {
			write_file(path(saved_.back().first), saved_.back().second);
			saved_.pop_back();
		}
	}
	void set(const std::string &name, std::string_view value)
	{
		saved_.emplace_back(name, read_file(path(name)));
		write_file(path(name), value);
	}

private:
	static constexpr const char *dir = "/sys/kernel/debug/failslab/";

	static std::string path(const std::string &name) { return dir + name; }

	std::vector<std::pair<std::string, std::string>> saved_;
};

/* Of anybody's child. */
void wait_for_exit(const Child &child)
{
	struct pollfd exit = { child.pidfd().get(), POLLIN, 0 };

	while (poll(&exit, 1, -1) < 1)
		;
}

/* Lets two processes go at the same time, over and over. */
class Barrier {
public:
	void meet()
	{
		const int round = round_;

		if (++waiting_ == 2) {
			waiting_ = 0;
			round_++;
			return;
		}
		while (round_ == round)
			sched_yield();
	}

private:
	std::atomic<int> waiting_ = 0, round_ = 0;
};

/* A call for some PIDs that claims them and fails afterwards. */
struct LateFailure {
	const char *what;
	int error;
	std::function<int(const Pids &)> call;
};

int fail_at_pidfd_pointer(const Pids &pids)
{
	Request request;

	request.flags(CLONE_PIDFD).raw().pidfd = ~0ULL - 7;
	return request.pids(pids).attempt();
}

int fail_without_descriptor(const Pids &pids)
{
	struct rlimit limit, none;
	Request request;
	int pidfd, error;

	getrlimit(RLIMIT_NOFILE, &limit);
	none = { 0, limit.rlim_max };
	request.flags(CLONE_PIDFD).raw().pidfd = reinterpret_cast<uintptr_t>(&pidfd);
	setrlimit(RLIMIT_NOFILE, &none);
	error = request.pids(pids).attempt();
	setrlimit(RLIMIT_NOFILE, &limit);
	return error;
}

int fail_without_cgroup(const Pids &pids)
{
	Request request;

	request.flags(CLONE_INTO_CGROUP).raw().cgroup = INT32_MAX;
	return request.pids(pids).attempt();
}

std::vector<LateFailure> late_failures(const Cgroup &full)
{
	return {
		{ "bad pointer for the pidfd", EFAULT, fail_at_pidfd_pointer },
		{ "no descriptor left for the pidfd", EMFILE, fail_without_descriptor },
		{ "no such cgroup", EBADF, fail_without_cgroup },
		{ "pids cgroup is full", EAGAIN,
		  [&](const Pids &pids) {
			  return Request{}.into_cgroup(full.dir()).pids(pids).attempt();
		  } },
	};
}

} // namespace

/*
 * From the first allocation of the call to the last one: each fails once.
 */
TEST(row14_every_allocation_may_fail)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(FailSlab::missing());
	const Request request = Request{}.pids({ free_a, free_b, find_free_pid() });
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const ChildrenIn scope(chain.ns(2));
		const Fd fail_nth(open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC));
		const clone_args args = request.args();
		int failures = 0;
		FailSlab slab;

		/* Those that may sleep, too. */
		slab.set("ignore-gfp-wait", "N");
		for (int nth = 1;; nth++) {
			const std::string set = std::to_string(nth);
			char left[16] = {};

			if (pwrite(fail_nth.get(), set.data(), set.size(), 0) < 0)
				break;
			const int error = attempt(&args, sizeof(args));
			pread(fail_nth.get(), left, sizeof(left) - 1, 0);
			pwrite(fail_nth.get(), "0", 1, 0);
			if (atoi(left) > 0)
				break;
			if (!error)
				continue;
			failures++;
			EXPECT_ERRNO(ENOMEM, error) TH_LOG("allocation %d", nth);
			EXPECT_ERRNO(0, request.attempt()) TH_LOG("after allocation %d", nth);
		}
		EXPECT_LT(10, failures);
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * Nothing can be had without sleeping, and the claim needs nodes for 33 IDRs
 * under a lock: far more than one preload has.
 */
TEST(row14_memory_that_can_be_waited_for)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(FailSlab::missing());
	const pid_t far = pid_max() - 2;
	NsChain chain;

	while (chain.depth() < max_pid_ns_level && !chain.add())
		;
	Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
		const ChildrenIn scope(chain.deepest());
		FailSlab slab;

		slab.set("ignore-gfp-wait", "Y");
		slab.set("interval", "1");
		slab.set("times", "-1");
		slab.set("probability", "100");
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "1"));
		EXPECT_ERRNO(0, Request{}.pids(Pids(chain.depth(), far)).attempt());
		EXPECT_ERRNO(0, write_file("/proc/self/make-it-fail", "0"));
	}));

	EXPECT_CHECKS_PASS(task);
}

/*
 * While one caller keeps failing at the outer level, the PID that it asks for
 * at the inner level is free for everybody else.
 */
TEST(row15_nobody_sees_a_part_of_a_claim)
{
	SKIP_IF_MISSING(missing_root());
	constexpr int rounds = 1500;
	const pid_t taken = getpid();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(1));
	Spawned failing = run_in_child([&] {
		while (Request{}.pids({ free_a, taken }).attempt() == EEXIST)
			;
		return 0;
	});

	ASSERT_ERRNO(0, failing.error);
	int refused = 0;
	for (int i = 0; i < rounds; i++)
		refused += !!Request{}.pids({ free_a }).attempt();
	EXPECT_EQ(0, refused)
	TH_LOG("%d of %d claims met a part of another one", refused, rounds);
	EXPECT_EQ(0, waitpid(failing.child.pid(), nullptr, WNOHANG | __WALL));
}

TEST(row16_failed_claim_holds_no_pid)
{
	SKIP_IF_MISSING(missing_root());
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
 * The inner level has a next automatic PID, the outer one has none left: the
 * claim fails after the inner sequence has been asked.
 */
TEST(row16_failed_claim_skips_no_pid)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(missing_last_pid());
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
		if (limit.set(301))
			SKIP(return, "needs a kernel.pid_max of 301");
		EXPECT_ERRNO(0, set_last_pid(300));
		*exhausted = true;
		wait_for_exit(inner.child);
	}));

	EXPECT_CHECKS_PASS(exhaust);
	EXPECT_CHECKS_PASS(inner);
}

TEST(row17_chosen_pid_leaves_the_sequence_alone)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(missing_last_pid());
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

TEST(row18_late_failure_gives_every_pid_back)
{
	SKIP_IF_MISSING(missing_root());
	const pid_t host = find_free_pid();
	const Cgroup full;
	NsChain chain(2);

	SKIP_IF_MISSING(full.missing());
	ASSERT_ERRNO(0, full.set("pids.max", "0"));
	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(2));
	for (const LateFailure &late : late_failures(full)) {
		EXPECT_ERRNO(late.error, late.call({ free_a, free_b, host }))
		TH_LOG("%s", late.what);
		/* Here and now, not some time later. */
		EXPECT_ERRNO(0, Request{}.pids({ free_a, free_b, host }).attempt())
		TH_LOG("after: %s", late.what);
	}
}

/* The store of the PID has never been checked, and is not now. */
TEST(row18_bad_parent_tid_pointer_is_no_failure)
{
	SKIP_IF_MISSING(missing_root());
	Request request;

	request.flags(CLONE_PARENT_SETTID).raw().parent_tid = ~0ULL - 7;
	EXPECT_ERRNO(0, request.pids({ find_free_pid() }).attempt());
}

TEST(row18_killed_caller_leaves_no_pid)
{
	SKIP_IF_MISSING(missing_root());
	const pid_t host = find_free_pid();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(1));
	for (int i = 0; i < 40; i++) {
		const Shared<std::atomic<int>> calls;
		Spawned caller = run_in_child([&] {
			for (;;) {
				++*calls;
				Request{}.pids({ free_a, host }).attempt();
			}
			return 0;
		});

		while (*calls < 2)
			sched_yield();
		caller.child.end();
		/* A child that was made is killed with it, and reaped by init. */
		while (pid_in_use(host))
			sched_yield();
		EXPECT_ERRNO(0, Request{}.pids({ free_a, host }).attempt());
	}
}

TEST(row19_first_process_may_fail_late)
{
	SKIP_IF_MISSING(missing_root());
	const pid_t host = find_free_pid();
	const Cgroup full;

	SKIP_IF_MISSING(full.missing());
	ASSERT_ERRNO(0, full.set("pids.max", "0"));
	for (const LateFailure &late : late_failures(full)) {
		for (const Pids &pids : { Pids{}, Pids{ 1 }, Pids{ 1, host } }) {
			Spawned task = run_in_child(checks(_metadata, [&](auto *_metadata) {
				ASSERT_EQ(0, unshare(CLONE_NEWPID));
				EXPECT_ERRNO(late.error, late.call(pids));

				Spawned init = Request{}.pids(pids).spawn(getpid);
				ASSERT_ERRNO(0, init.error) TH_LOG("after: %s", late.what);
				EXPECT_EQ(1, init.child.wait().code);
			}));

			EXPECT_CHECKS_PASS(task);
		}
	}
}

TEST(row20_one_of_two_callers_wins)
{
	SKIP_IF_MISSING(missing_root());
	constexpr int rounds = 200;
	struct Race {
		Barrier start, end;
		int error = 0;
	};
	const Pids hosts = { find_free_pid(), find_free_pid(), find_free_pid() };
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	const ChildrenIn scope(chain.ns(1));
	/* The same PID further in, at both levels, and further out only. */
	const std::vector<std::pair<Pids, Pids>> pairs = {
		{ { free_a, hosts[0] }, { free_a, hosts[1] } },
		{ { free_a, hosts[0] }, { free_a, hosts[0] } },
		{ { free_a, hosts[0] }, { free_b, hosts[0] } },
	};

	for (const auto &pair : pairs) {
		const Pids &mine = pair.first, &other = pair.second;
		const Shared<Race> race;
		Spawned rival = run_in_child([&] {
			for (int i = 0; i < rounds; i++) {
				race->start.meet();
				Spawned c = Request{}.pids(other).sleeping();
				race->error = c.error;
				race->end.meet();
				c.child.end();
				race->end.meet();
			}
			return 0;
		});
		int won = 0, lost = 0;

		for (int i = 0; i < rounds; i++) {
			race->start.meet();
			Spawned c = Request{}.pids(mine).sleeping();
			race->end.meet();
			won += !c.error && race->error == EEXIST;
			lost += c.error == EEXIST && !race->error;
			c.child.end();
			race->end.meet();
		}
		EXPECT_EQ(0, rival.child.wait().code);
		EXPECT_EQ(rounds, won + lost) TH_LOG("won %d, lost %d", won, lost);
	}
}

TEST_HARNESS_MAIN
