// SPDX-License-Identifier: GPL-2.0
/*
 * kernel.pid_min: the lowest automatic PID of a namespace. What is below it stays
 * free for those who choose PIDs.
 *
 * The numbers in the names of the tests are the rows of
 * Documentation/userspace-api/set_tid.rst.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/race.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/zombie.hpp"
#include "set_tid_lib/command/expect.hpp"
#include "set_tid_lib/command/run.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace
{
/* So many numbers the floor leaves at least. */
constexpr long room = 300;

constexpr const char *pid_min_path = "/proc/sys/kernel/pid_min";

/* The kernel's own threads: the children of kthreadd. */
std::set<pid_t> kernel_threads()
{
	std::set<pid_t> threads;
	Pids all;

	numbers_in("/proc", all);
	for (pid_t pid : all) {
		const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
		const size_t at = stat.rfind(") ");

		if (at != stat.npos && stat.compare(at + 4, 2, "2 ") == 0)
			threads.insert(pid);
	}
	return threads;
}

} // namespace

/* A namespace of its own for each test, and what a test does there. */
FIXTURE(floor)
{
	NsChain *chain;
};

FIXTURE_SETUP_REQUIRES(floor, need::root, need::pid_min)
{
	self->chain = new NsChain(1);
	ASSERT_ERRNO(0, self->chain->error());
}

FIXTURE_TEARDOWN(floor)
{
	delete self->chain;
}

TEST_F(floor, row28_automatic_pids_are_not_less)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(0, set_pid_min(5000));
		EXPECT_EQ(5000, pid_min());
		EXPECT_EQ(5000, next_automatic_pid());
		StartedThread thread = Request{}.thread().start([] { return 0; });
		EXPECT_ERRNO(0, thread.error);
		EXPECT_EQ(5001, thread.thread.tid());
		/* A sequence that is above goes on where it is. */
		EXPECT_ERRNO(0, set_pid_min(1));
		EXPECT_EQ(5002, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_each_namespace_has_its_own)
{
	NsChain &chain = *self->chain;

	ASSERT_ERRNO(0, chain.add());
	EXPECT_EQ(0, chain.run_at(2, [] { return set_pid_min(900); }).child.wait().code);
	EXPECT_EQ(0, chain.run_at(1, [] { return set_pid_min(700); }).child.wait().code);
	const Pids pids = nspids(chain.run_at(2, getpid).child);
	ASSERT_EQ(3u, pids.size());
	EXPECT_EQ(900, pids[0]);
	EXPECT_EQ(700, pids[1]);
	/* A new one starts at 1, inside one with a floor, too. */
	ASSERT_ERRNO(0, chain.add());
	EXPECT_EQ(1, chain.run_at(3, pid_min).child.wait().code);
}

TEST_F(floor, row28_chosen_pids_may_be_lower)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(0, set_pid_min(5000));
		Spawned c = Request{}.pids({ 42 }).sleeping();
		EXPECT_EQ(42, c.child.pid());
		EXPECT_ERRNO(EEXIST, Request{}.pids({ 42 }).attempt());
		EXPECT_EQ(5000, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_init_is_pid_1)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(0, set_pid_min(5000));
		Spawned init = Request{}.flags(CLONE_NEWPID).sleeping();
		ASSERT_ERRNO(0, init.error);
		const Pids pids = nspids(init.child);
		EXPECT_EQ(1, pids[0]);
		EXPECT_EQ(5000, pids[1]);
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_written_where_the_writer_is)
{
	const long outside = pid_min();
	const Fd file(open(pid_min_path, O_RDWR | O_CLOEXEC));

	ASSERT_TRUE(file.valid());
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		/* Opened outside, used inside. */
		EXPECT_EQ(4, pwrite(file.get(), "5000", 4, 0));
		EXPECT_EQ(5000, pid_min());
		EXPECT_EQ(5000, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
	EXPECT_EQ(outside, pid_min());
}

TEST_F_REQUIRES(floor, row28_the_owner_may_write, need::user_ns)
{
	NsChain &chain = *self->chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	/* Its own level, but not that of somebody else's further out. */
	for (int level : { 1, 2 }) {
		Spawned task = chain.run_at(
			level, checks(_metadata, [&](auto *_metadata) {
				ASSERT_EQ(0, setns(chain.ns(2).get(), CLONE_NEWUSER));
				EXPECT_ERRNO(level == 2 ? 0 : EPERM, set_pid_min(5000));
				EXPECT_EQ(level == 2 ? 5000 : 1, pid_min());
			}));

		EXPECT_CHECKS_PASS(task);
	}
}

TEST_F(floor, row28_either_capability_is_enough)
{
	for (int cap : { CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE }) {
		Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
			ASSERT_ERRNO(0, keep_capabilities({ cap }));
			EXPECT_ERRNO(0, set_pid_min(5000 + cap));
			EXPECT_EQ(5000 + cap, pid_min());
		}));

		EXPECT_CHECKS_PASS(task);
	}
}

TEST_F(floor, row28_neither_capability)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, drop_capabilities({ CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE }));
		EXPECT_ERRNO(EPERM, set_pid_min(5000));
		/* Nor a value that is wrong as well. */
		EXPECT_ERRNO(EPERM, set_pid_min(0));
		EXPECT_EQ(1, pid_min());
	}));

	EXPECT_CHECKS_PASS(task);
	Spawned user = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EPERM, set_pid_min(5000));
		EXPECT_EQ(1, pid_min());
	}));

	EXPECT_CHECKS_PASS(user);
}

TEST_F(floor, row28_value_out_of_range)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");

		for (long max : { 301L, 302L, 900L, 32768L, 4194304L }) {
			ASSERT_ERRNO(0, limit.set(max));
			const std::string above = std::to_string(max - room + 1);

			EXPECT_ERRNO(0, set_pid_min(max - room));
			for (const std::string &bad :
			     { above, std::string("0"), std::string("-1"),
			       std::string("-2147483648"), std::string("2147483647"),
			       std::string("4294967297"), std::string("18446744073709551617"),
			       std::string("x") }) {
				EXPECT_ERRNO(EINVAL, write_file(pid_min_path, bad))
				TH_LOG("%s, pid_max %ld", bad.c_str(), max);
			}
			EXPECT_EQ(max - room, pid_min());
			EXPECT_ERRNO(0, set_pid_min(1));
		}
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_does_not_apply_while_pid_max_is_too_low)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		Sysctl limit("kernel/pid_max");
		const pid_t before = next_automatic_pid();

		EXPECT_ERRNO(0, set_pid_min(5000));
		EXPECT_ERRNO(0, limit.set(5000 + room - 1));
		EXPECT_ERRNO(EINVAL, set_pid_min(5000));
		EXPECT_EQ(before + 1, next_automatic_pid());
		EXPECT_EQ(5000, pid_min());
		EXPECT_ERRNO(0, limit.set(5000 + room));
		EXPECT_EQ(5000, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_search_starts_again_at_the_floor)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		const std::pair<long, pid_t> cases[] = {
			{ 1, 300 }, { 299, 300 }, { 300, 300 }, { 301, 301 }, { 5000, 5000 },
		};

		for (const auto &[floor, again] : cases) {
			EXPECT_ERRNO(0, set_pid_min(floor));
			EXPECT_ERRNO(0, set_last_pid(pid_max() - 2));
			EXPECT_EQ(pid_max() - 1, next_automatic_pid());
			EXPECT_EQ(again, next_automatic_pid())
			TH_LOG("pid_min %ld", floor);
		}
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_no_pid_left_above_the_floor)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		constexpr pid_t lowest = 2000;
		std::deque<Zombie> all(room);
		Sysctl limit("kernel/pid_max");
		Zombie chosen;

		ASSERT_ERRNO(0, limit.set(lowest + room));
		ASSERT_ERRNO(0, set_pid_min(lowest));
		pid_t expected = lowest;
		for (Zombie &each : all)
			EXPECT_EQ(expected++, each.create({}));
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
		/* Below it they are free, for those who choose. */
		EXPECT_EQ(lowest - 1, chosen.create({ lowest - 1 }));
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
		all[7].reap();
		EXPECT_EQ(lowest + 7, all[7].create({}));
		for (Zombie &each : all)
			each.reap();
		chosen.reap();
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_ns_last_pid_below_it_reads_back)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_ERRNO(0, set_pid_min(5000));
		EXPECT_ERRNO(0, set_last_pid(99));
		EXPECT_EQ(99, last_pid());
		EXPECT_EQ(5000, next_automatic_pid());
		EXPECT_EQ(5000, last_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(floor, row28_empty_write_changes_nothing)
{
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		const Fd file(open(pid_min_path, O_RDWR | O_CLOEXEC));

		EXPECT_ERRNO(0, set_pid_min(5000));
		EXPECT_EQ(0, write(file.get(), "", 0));
		EXPECT_EQ(5000, pid_min());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_REQUIRES(row28_kernel_threads, need::root, need::pid_min, need::initial_pid_ns)
{
	/* A new priority takes a new pool of workers, which starts with one. */
	Sysctl floor("kernel/pid_min");
	const std::string nice = "/sys/bus/workqueue/devices/writeback/nice";
	const std::string usual = read_file(nice);
	const long lowest = pid_max() - room;

	if (usual.empty())
		SKIP(return, "needs %s", nice.c_str());
	EXPECT_ERRNO(0, floor.set(lowest));
	const std::set<pid_t> before = kernel_threads();
	EXPECT_LT(0u, before.size());
	EXPECT_ERRNO(0, write_file(nice, "-7"));
	std::vector<pid_t> fresh;
	auto there_is_a_new_one = [&] {
		const std::set<pid_t> now = kernel_threads();

		fresh.clear();
		std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
				    std::back_inserter(fresh));
		return !fresh.empty();
	};
	EXPECT_TRUE(wait_until(there_is_a_new_one));
	for (pid_t pid : fresh)
		EXPECT_LE(lowest, pid);
	write_file(nice, usual);
}

/*
 * Two processes fork all the time. Once the floor has been raised no fork() that begins
 * gets a lower PID, and none that is under way ends with one.
 */
TEST_F_TIMEOUT(floor, row28_floor_moves_while_others_fork, 3600)
{
	struct Storm {
		std::atomic<long> floor = 1, forks = 0, low = 0;
		std::atomic<bool> over = false;
	};
	const Shared<Storm> storm;
	auto fork_all_the_time = [&] {
		while (!storm->over) {
			const long floor = storm->floor;
			Zombie child;

			if (child.create({}) < floor)
				storm->low++;
			child.reap();
			storm->forks++;
		}
		return 0;
	};

	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		Spawned one = run_in_child(fork_all_the_time);
		Spawned two = run_in_child(fork_all_the_time);

		for (long floor = 400; floor < 20000; floor += 400) {
			ASSERT_ERRNO(0, set_pid_min(floor));
			storm->floor = floor;
			/* Two may be under way, whose claim was before the write. */
			const long forks = storm->forks;
			ASSERT_TRUE(wait_until([&] { return storm->forks > forks + 4; }));
			EXPECT_LE(floor, last_pid());
		}
		storm->over = true;
		EXPECT_EQ(0, one.child.wait().code);
		EXPECT_EQ(0, two.child.wait().code);
		EXPECT_EQ(0, storm->low.load());
	}));

	EXPECT_CHECKS_PASS(task);
}

/* Whoever writes it is killed with the rest of the namespace. */
TEST_REQUIRES(row28_namespace_ends_while_it_is_written, need::root, need::pid_min)
{
	for (int round = 0; round < 20; round++) {
		const Shared<std::atomic<int>> writes;
		NsChain chain(1);

		ASSERT_ERRNO(0, chain.error());
		Spawned writer = chain.run_deepest([&] {
			for (int i = 0;; i++) {
				set_pid_min(1 + i % 5000);
				++*writes;
			}
			return 0;
		});
		ASSERT_ERRNO(0, writer.error);
		EXPECT_TRUE(wait_until([&] { return *writes > 3; }));
		EXPECT_ERRNO(0, chain.init(1).kill());
		EXPECT_EQ(SIGKILL, wait_or_kill(writer.child).signal);
	}
}

/* set_tid --enter PID --pid-min N */
TEST_F_REQUIRES(floor, row28_command_writes_it_from_outside, need::command)
{
	const std::string init = str(self->chain->init(1).pid());
	const long outside = pid_min();
	const Ran ran = Command({ "--enter", init, "--pid-min", "5000" }).run();

	EXPECT_EQ(0, ran.status);
	EXPECT_TEXT("", ran.out + ran.err);
	EXPECT_EQ(outside, pid_min());
	Spawned task = self->chain->run_deepest(checks(_metadata, [&](auto *_metadata) {
		EXPECT_EQ(5000, pid_min());
		EXPECT_EQ(5000, getpid());
		EXPECT_EQ(5001, next_automatic_pid());
	}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F_REQUIRES(floor, row28_command_says_what_is_wrong, need::command)
{
	const std::string init = str(self->chain->init(1).pid());
	const std::string high = str(self->chain->pid_max_at(1) - room + 1);
	const std::string alone = "--pid-min runs nothing, and takes no other option than --enter";

	for (const char *bad : { "0", "-1" })
		EXPECT_REFUSED("--pid-min: " + std::string(bad) +
				       " is not between 1 and 2147483647",
			       Command({ "--pid-min", bad }));
	EXPECT_REFUSED("--pid-min: \"x\" is not a number", Command({ "--pid-min", "x" }));
	EXPECT_REFUSED(alone, Command({ "--pid-min", "5000", "true" }));
	EXPECT_REFUSED(alone, Command({ "--pid-min", "5000", "--pid", "42" }));
	EXPECT_REFUSED(alone, Command({ "--pid-min", "5000", "--report" }));
	EXPECT_REFUSED("--pid-min " + high +
			       ": fewer than 300 PIDs would be left below pid_max (EINVAL)",
		       Command({ "--enter", init, "--pid-min", high }));
	EXPECT_REFUSED("--pid-min needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the user "
		       "namespace that owns the PID namespace (EPERM)",
		       Command({ "--pid-min", "5000" }).before([] { return become_user(); }));
	EXPECT_REFUSED("cannot enter the PID namespace: needs CAP_SYS_ADMIN (EPERM)",
		       Command({ "--enter", init, "--pid-min", "5000" }).before([] {
			       return lose_capabilities({ CAP_SYS_ADMIN });
		       }));
	EXPECT_EQ(1, self->chain->run_deepest(pid_min).child.wait().code);
}

TEST_HARNESS_MAIN
