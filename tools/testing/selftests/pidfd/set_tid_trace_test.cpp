// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event set_tid_refused: each request that is refused is told once,
 * with the level that refuses it and, if the PID is in use, who has it.
 */
#include "../kselftest_harness.h"
#include "set_tid.hpp"

namespace
{
constexpr pid_t free_a = 1001, free_b = 1002;

/* The line for a level, by a process in its namespace. */
std::string refused(int level, pid_t in_ns, pid_t pid, int error,
		    const std::string &holder = "holder=none holder_pid=0 holder_comm=")
{
	return "level=" + std::to_string(level) + " ns=" + std::to_string(pid_ns_inode(in_ns)) +
	       " pid=" + std::to_string(pid) + " error=" + std::to_string(-error) + " " + holder;
}

std::string held_by(const char *kind, pid_t pid, const std::string &comm)
{
	return std::string("holder=") + kind + " holder_pid=" + std::to_string(pid) +
	       " holder_comm=" + comm;
}

Fd open_ns(const Child &init)
{
	return Fd(open(("/proc/" + std::to_string(init.pid()) + "/ns/pid").c_str(),
		       O_RDONLY | O_CLOEXEC));
}

std::string own_comm()
{
	const std::string comm = read_file("/proc/self/comm");

	return comm.substr(0, comm.find('\n'));
}

std::string joined(const std::vector<std::string> &lines)
{
	std::string text;

	for (const std::string &line : lines)
		text += (text.empty() ? "" : "\n") + line;
	return text;
}
} // namespace

/* The request gets the errno, and this one line is told of it; "" for none. */
#define EXPECT_TOLD(line, error, request)                               \
	do {                                                            \
		EXPECT_ERRNO(error, (request).attempt());               \
		EXPECT_TEXT(line, joined(self->trace->take(getpid()))); \
	} while (0)

FIXTURE(trace)
{
	RefusalTrace *trace;
	NsChain *chain;
};

FIXTURE_SETUP(trace)
{
	SKIP_IF_MISSING(missing_root());
	SKIP_IF_MISSING(missing_initial_pid_ns());
	self->chain = new NsChain(2);
	ASSERT_ERRNO(0, self->chain->error());
	self->trace = new RefusalTrace;
	if (const char *missing = self->trace->missing()) {
		/* There will be no teardown, and what there is in tracefs stays. */
		delete self->trace;
		SKIP(return, "%s", missing);
	}
}

FIXTURE_TEARDOWN(trace)
{
	delete self->chain;
	delete self->trace;
}

TEST_F(trace, granted_requests_are_not_told)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_TOLD("", 0, Request{}.pids({ free_a, free_b, find_free_pid() }));
}

TEST_F(trace, row07_more_pids_than_levels)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_TOLD(refused(2, self->chain->init(2).pid(), 7, EINVAL), EINVAL,
		    Request{}.pids({ 4, 5, 6, 7, 8 }));
}

TEST_F(trace, row08_pid_out_of_range)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_TOLD(refused(2, self->chain->init(2).pid(), 0, EINVAL), EINVAL,
		    Request{}.pids({ 0, free_a, 0 }));
	EXPECT_TOLD(refused(0, getpid(), -1, EINVAL), EINVAL,
		    Request{}.pids({ free_a, free_b, -1 }));
}

TEST_F(trace, row09_first_process_is_not_pid_1)
{
	EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).flags(CLONE_NEWPID).attempt());
	const std::string line = joined(self->trace->take(getpid()));

	/* Nobody is in that namespace, so nobody can tell its inode. */
	EXPECT_EQ(0U, line.find("level=1 ns=")) TH_LOG("%s", line.c_str());
	EXPECT_NE(line.npos, line.find(" pid=2 error=-22 holder=none"));
}

TEST_F(trace, row10_no_capability)
{
	const std::string line = refused(0, getpid(), free_a, EPERM);

	Spawned user = run_in_child(checks(_metadata, [&](auto *_metadata) {
		ASSERT_ERRNO(0, become_user());
		EXPECT_ERRNO(EPERM, Request{}.pids({ free_a }).attempt());
	}));
	const pid_t caller = user.child.pid();

	EXPECT_CHECKS_PASS(user);
	EXPECT_TEXT(line, joined(self->trace->take(caller)));
}

TEST_F(trace, row11_a_process)
{
	const pid_t init = self->chain->init(1).pid();
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_TOLD(refused(1, init, 1, EEXIST, held_by("process", init, own_comm())), EEXIST,
		    Request{}.pids({ free_a, 1, find_free_pid() }));
	EXPECT_TOLD(refused(0, getpid(), getpid(), EEXIST,
			    held_by("process", getpid(), own_comm())),
		    EEXIST, Request{}.pids({ free_a, free_b, getpid() }));
}

TEST_F(trace, row11_a_thread)
{
	std::atomic<bool> stop = false;
	const StartedThread started = Request{}.thread().start([&] {
		while (!stop)
			syscall(__NR_sched_yield);
		return 0;
	});
	const pid_t tid = started.thread.tid();

	ASSERT_ERRNO(0, started.error);
	EXPECT_TOLD(refused(0, getpid(), tid, EEXIST, held_by("thread", tid, own_comm())), EEXIST,
		    Request{}.pids({ tid }));
	stop = true;
}

TEST_F(trace, row11_a_zombie)
{
	Spawned c = run_in_child([] { return 0; });

	ASSERT_ERRNO(0, c.error);
	c.child.wait_zombie();
	EXPECT_TOLD(refused(0, getpid(), c.child.pid(), EEXIST,
			    held_by("zombie", c.child.pid(), own_comm())),
		    EEXIST, Request{}.pids({ c.child.pid() }));
}

/* A child's PID lives on as a number of the group or session it has made. */
TEST_F(trace, row11_only_a_group_or_a_session)
{
	for (const char *kind : { "group", "session" }) {
		const bool group = !strcmp(kind, "group");
		const Shared<std::atomic<pid_t>> member;
		const Fd creator = own_pidfd();
		/* It leaves a child behind, for a session in a group of its own. */
		Spawned leader = run_in_child([&] {
			group ? setpgid(0, 0) : setsid();
			const pid_t pid = fork();
			if (!pid) {
				prctl(PR_SET_PDEATHSIG, 0);
				if (!group)
					setpgid(0, 0);
				*member = getpid();
				return sleep_beside(creator.get());
			}
			return wait_until([&] { return *member > 0; }) ? 0 : 1;
		});
		ASSERT_ERRNO(0, leader.error);
		const pid_t gone = leader.child.pid();
		ASSERT_EQ(0, leader.child.wait().code);

		EXPECT_TOLD(refused(0, getpid(), gone, EEXIST, held_by(kind, *member, own_comm())),
			    EEXIST, Request{}.pids({ gone }));
		Child(*member).kill();
	}
}

TEST_F(trace, row12_namespace_lost_its_init)
{
	const std::string line = refused(2, self->chain->init(2).pid(), free_a, ENOMEM);
	const Fd ns = open_ns(self->chain->init(2));

	self->chain->init(2).end();
	const ChildrenIn scope(ns);
	ASSERT_ERRNO(0, scope.error());
	EXPECT_TOLD(line, ENOMEM, Request{}.pids({ free_a }));
	/* row 26 */
	EXPECT_TOLD("", ENOMEM, Request{});
}

/* Past PID 300 the search starts again at 300: with this limit, the only number. */
TEST_F(trace, row13_no_automatic_pid_left)
{
	const std::string line = refused(1, self->chain->init(1).pid(), 0, EAGAIN);

	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned only = Request{}.pids({ 300 }).sleeping();
		Sysctl limit("kernel/pid_max");
		const ChildrenIn scope(self->chain->ns(2));

		ASSERT_ERRNO(0, only.error);
		ASSERT_ERRNO(0, scope.error());
		if (limit.set(301))
			SKIP(return, "needs a kernel.pid_max of 301");
		EXPECT_ERRNO(0, set_last_pid(300));
		EXPECT_ERRNO(EAGAIN, Request{}.pids({ 5 }).attempt());
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
	});
	Spawned task = self->chain->run_at(1, body);
	const pid_t caller = task.child.pid();

	EXPECT_CHECKS_PASS(task);
	EXPECT_TEXT(line, joined(self->trace->take(caller)));
}

TEST_HARNESS_MAIN
