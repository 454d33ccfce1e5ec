// SPDX-License-Identifier: GPL-2.0
/*
 * The trace event set_tid_refused: each refused request is reported once,
 * with the level that refuses it, the reason and, if the PID is in use, its holder.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/fault/fail_alloc.hpp"
#include "set_tid_lib/capability.hpp"
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
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/thread.hpp"
#include "set_tid_lib/trace.hpp"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace
{
constexpr pid_t free_a = 1001, free_b = 1002;

const char nobody[] = "holder=none holder_pid=0 holder_tgid=0 holder_comm=";

/* The line for a level, by a process in its namespace. */
std::string refused(int level, pid_t in_ns, pid_t pid, int error, const char *reason,
		    const std::string &holder = nobody)
{
	return "level=" + std::to_string(level) + " ns=" + std::to_string(pid_ns_inode(in_ns)) +
	       " pid=" + std::to_string(pid) + " error=" + std::to_string(-error) +
	       " reason=" + reason + " " + holder;
}

std::string held_by(const char *kind, pid_t pid, pid_t tgid, const std::string &comm)
{
	return std::string("holder=") + kind + " holder_pid=" + std::to_string(pid) +
	       " holder_tgid=" + std::to_string(tgid) + " holder_comm=" + comm;
}

std::string held_by(const char *kind, pid_t pid, const std::string &comm)
{
	return held_by(kind, pid, pid, comm);
}

std::string own_comm()
{
	const std::string comm = read_file("/proc/self/comm");

	return comm.substr(0, comm.find('\n'));
}

std::string joined(const std::vector<Refused> &reported)
{
	std::string text;

	for (const Refused &refused : reported)
		text += (text.empty() ? "" : "\n") + refused.line();
	return text;
}

/* Names that break a line, a parser or a terminal, and how they are reported. */
struct Name {
	const char *raw, *reported;
};

constexpr Name hostile_names[] = {
	{ "", "" },
	{ " ", "\\x20" },
	{ "\n", "\\x0a" },
	{ "a\nholder=none", "a\\x0aholder=none" },
	{ "\x1b[31m", "\\x1b[31m" },
	{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	  "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff" },
	{ "\xc2\x9b"
	  "31m",
	  "\\xc2\\x9b31m" },
	{ "a) Z (", "a)\\x20Z\\x20(" },
	{ "holder=none", "holder=none" },
	{ " reason=in-use", "\\x20reason=in-use" },
	{ "\\", "\\x5c" },
	{ "\\x41\t\r", "\\x5cx41\\x09\\x0d" },
	{ "%s%n\x7f", "%s%n\\x7f" },
	{ "-1 [000] .", "-1\\x20[000]\\x20." },
};
} // namespace

namespace need
{
static const char *pid_20002()
{
	return pid_max() > 20002 ? nullptr : "needs a kernel.pid_max above 20002";
}
} // namespace need

/* The request gets the errno, and this one line is reported; "" for none. */
#define EXPECT_REPORTED(line, error, request)                           \
	do {                                                            \
		EXPECT_ERRNO(error, (request).attempt());               \
		EXPECT_TEXT(line, joined(self->trace->take(getpid()))); \
	} while (0)

FIXTURE(trace)
{
	RefusalTrace *trace;
	NsChain *chain;
};

FIXTURE_SETUP_REQUIRES(trace, need::root, need::initial_pid_ns, need::trace)
{
	self->chain = new NsChain(2);
	ASSERT_ERRNO(0, self->chain->error());
	self->trace = new RefusalTrace;
}

FIXTURE_TEARDOWN(trace)
{
	delete self->chain;
	delete self->trace;
}

TEST_F(trace, granted_requests_are_not_reported)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_REPORTED("", 0, Request{}.pids({ free_a, free_b, find_free_pid() }));
}

TEST_F(trace, row07_more_pids_than_levels)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_REPORTED(refused(2, self->chain->init(2).pid(), 7, EINVAL, "too-many-pids"), EINVAL,
			Request{}.pids({ 4, 5, 6, 7, 8 }));
}

TEST_F(trace, row08_pid_out_of_range)
{
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_REPORTED(refused(2, self->chain->init(2).pid(), 0, EINVAL, "out-of-range"), EINVAL,
			Request{}.pids({ 0, free_a, 0 }));
	EXPECT_REPORTED(refused(0, getpid(), -1, EINVAL, "out-of-range"), EINVAL,
			Request{}.pids({ free_a, free_b, -1 }));
}

TEST_F(trace, row09_first_process_is_not_pid_1)
{
	EXPECT_ERRNO(EINVAL, Request{}.pids({ 2 }).flags(CLONE_NEWPID).attempt());
	const std::string line = joined(self->trace->take(getpid()));

	/* Nobody is in that namespace, so its inode is unknown. */
	EXPECT_EQ(0U, line.find("level=1 ns=")) TH_LOG("%s", line.c_str());
	EXPECT_NE(line.npos,
		  line.find(" pid=2 error=-22 reason=no-init-yet " + std::string(nobody)));
}

TEST_F(trace, row10_no_capability)
{
	const std::string line = refused(0, getpid(), free_a, EPERM, "no-capability");

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
	const pid_t init = self->chain->init(1).pid(), innermost = self->chain->init(2).pid();
	const ChildrenIn scope(self->chain->ns(2));

	ASSERT_ERRNO(0, scope.error());
	EXPECT_REPORTED(refused(2, innermost, 1, EEXIST, "in-use",
				held_by("process", innermost, own_comm())),
			EEXIST, Request{}.pids({ 1, free_b, find_free_pid() }));
	EXPECT_REPORTED(refused(1, init, 1, EEXIST, "in-use", held_by("process", init, own_comm())),
			EEXIST, Request{}.pids({ free_a, 1, find_free_pid() }));
	EXPECT_REPORTED(refused(0, getpid(), getpid(), EEXIST, "in-use",
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
	EXPECT_REPORTED(refused(0, getpid(), tid, EEXIST, "in-use",
				held_by("thread", tid, getpid(), own_comm())),
			EEXIST, Request{}.pids({ tid }));
	stop = true;
}

TEST_F(trace, row11_a_zombie)
{
	Spawned c = run_in_child([] { return 0; });

	ASSERT_ERRNO(0, c.error);
	c.child.wait_zombie();
	EXPECT_REPORTED(refused(0, getpid(), c.child.pid(), EEXIST, "in-use",
				held_by("zombie", c.child.pid(), own_comm())),
			EEXIST, Request{}.pids({ c.child.pid() }));
}

/*
 * The leader has exited, another thread has not: nobody can reap it, so it is no
 * zombie, although /proc says so.
 */
TEST_F(trace, row11_an_exited_leader)
{
	const Fd creator = own_pidfd();
	Spawned process = run_in_child([&] {
		StartedThread rest = Request{}.thread().start(
			[pidfd = creator.get()] { return sleep_beside(pidfd); });

		syscall(__NR_exit, rest.error);
		return 0;
	});
	const pid_t pid = process.child.pid();
	const std::string stat = "/proc/" + std::to_string(pid) + "/stat";

	ASSERT_ERRNO(0, process.error);
	ASSERT_TRUE(wait_until([&] { return state_in(stat) == 'Z'; }));
	EXPECT_REPORTED(refused(0, getpid(), pid, EEXIST, "in-use",
				held_by("exited-leader", pid, own_comm())),
			EEXIST, Request{}.pids({ pid }));
	process.child.kill();
	process.child.wait_zombie();
	EXPECT_REPORTED(refused(0, getpid(), pid, EEXIST, "in-use",
				held_by("zombie", pid, own_comm())),
			EEXIST, Request{}.pids({ pid }));
}

/* As long as a child is only being made, its PID has no task. */
TEST_F_REQUIRES(trace, row11_a_claim_that_stands, need::userfaultfd)
{
	const pid_t host = find_free_pid();
	PausedCall call(self->chain->ns(1), { free_a, host });

	ASSERT_TRUE(call.paused());
	EXPECT_REPORTED(refused(0, getpid(), host, EEXIST, "in-use"), EEXIST,
			Request{}.pids({ host }));
	EXPECT_ERRNO(0, call.finish());
	EXPECT_TEXT("", joined(self->trace->take()));
}

/* A name is data: one line, and no byte of it raw. */
TEST_F(trace, row29_any_name_of_a_holder)
{
	for (const Name &name : hostile_names) {
		const Shared<std::atomic<bool>> named;
		const Fd creator = own_pidfd();
		Spawned holder = run_in_child([&] {
			*named = !prctl(PR_SET_NAME, name.raw);
			return sleep_beside(creator.get());
		});
		const pid_t pid = holder.child.pid();

		ASSERT_ERRNO(0, holder.error);
		ASSERT_TRUE(wait_until([&] { return named->load(); }));
		EXPECT_ERRNO(EEXIST, Request{}.pids({ pid }).attempt());
		const std::vector<Refused> reported = self->trace->take(getpid());

		ASSERT_EQ(1U, reported.size());
		EXPECT_TEXT(refused(0, getpid(), pid, EEXIST, "in-use",
				    held_by("process", pid, name.reported)),
			    reported[0].line());
		EXPECT_TEXT("process", reported[0].text("holder"));
		EXPECT_TEXT("in-use", reported[0].text("reason"));
		EXPECT_EQ(pid, reported[0].number("holder_pid"));
		EXPECT_TEXT(name.reported, reported[0].holder_comm());
		/* The other place with a raw name in front of what is looked for. */
		const std::string stat = "/proc/" + std::to_string(pid) + "/stat";
		EXPECT_TRUE(wait_until([&] { return state_in(stat) == 'S'; }));
	}
}

/* Whatever a caller's name is, a line is its own and nobody else's. */
TEST_F(trace, row29_any_name_of_a_caller)
{
	for (const Name &name : hostile_names) {
		const Fd self_pidfd = own_pidfd();
		Spawned caller = run_in_child([&] {
			prctl(PR_SET_NAME, name.raw);
			return Request{}.pids({ 1 }).attempt();
		});
		const pid_t pid = caller.child.pid();

		ASSERT_ERRNO(0, caller.error);
		ASSERT_ERRNO(EEXIST, caller.child.wait().code);
		const std::vector<Refused> reported = self->trace->take();

		ASSERT_EQ(1U, reported.size());
		EXPECT_EQ(pid, reported[0].caller());
	}
}

/*
 * The same without a kernel: it shows a caller's name only if the system keeps names
 * for tracing, which this test must not turn on.
 */
TEST(row29_names_of_callers_in_a_trace)
{
	const std::string fields = refused(0, getpid(), free_a, EPERM, "no-capability");
	const std::string behind = " [001] d..1.    12.345678: set_tid_refused: " + fields + "\n";
	const std::string header = "# tracer: nop\n#\n#           TASK-PID     CPU#  |||||\n";

	for (const Name &name : hostile_names) {
		for (const char *group : { "", " (-------)", " (  4242)" }) {
			std::string line = "  ", text = header;

			line.append(name.raw).append("-98     ").append(group).append(behind);
			text.append(line).append(line);
			const std::vector<Refused> reported = RefusalTrace::parse(text);

			ASSERT_EQ(2U, reported.size());
			for (const Refused &refused : reported) {
				EXPECT_EQ(98, refused.caller()) TH_LOG("%s", name.reported);
				EXPECT_TEXT(fields, refused.line());
			}
		}
	}
}

/* Others may fill the trace: whoever looks for one caller can leave them out. */
TEST_F(trace, one_caller_only)
{
	Spawned other = run_in_child([] { return Request{}.pids({ 1 }).attempt(); });
	auto caller_again = [&] {
		EXPECT_ERRNO(EEXIST, Request{}.pids({ getpid() }).attempt());
		EXPECT_ERRNO(EEXIST, run_in_child([] { return Request{}.pids({ 1 }).attempt(); })
					     .child.wait()
					     .code);
		return self->trace->take();
	};

	other.child.wait();
	EXPECT_EQ(2U + 1U, caller_again().size());
	EXPECT_ERRNO(0, self->trace->only(getpid()));
	const std::vector<Refused> reported = caller_again();

	ASSERT_EQ(1U, reported.size());
	EXPECT_EQ(getpid(), reported[0].caller());
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

		EXPECT_REPORTED(refused(0, getpid(), gone, EEXIST, "in-use",
					held_by(kind, *member, own_comm())),
				EEXIST, Request{}.pids({ gone }));
		Child(*member).kill();
	}
}

TEST_F(trace, row12_namespace_lost_its_init)
{
	const std::string line =
		refused(2, self->chain->init(2).pid(), free_a, ENOMEM, "lost-init");
	const Fd ns = open_ns(self->chain->init(2));

	self->chain->init(2).end();
	const ChildrenIn scope(ns);
	ASSERT_ERRNO(0, scope.error());
	EXPECT_REPORTED(line, ENOMEM, Request{}.pids({ free_a }));
	/* row 26 */
	EXPECT_REPORTED("", ENOMEM, Request{});
}

/* An init, of the target or an outer level, has died before the child is born. */
TEST_F_REQUIRES(trace, row12_init_dies_while_a_claim_stands, need::userfaultfd)
{
	const Pids all = { free_a, free_b, find_free_pid() };

	for (const int dying : { 2, 1 }) {
		for (size_t size = 0; size <= all.size(); size++) {
			const Pids pids(all.begin(), all.begin() + size);
			const size_t i = 2 - dying;
			NsChain chain(2);

			ASSERT_ERRNO(0, chain.error());
			/* A fork() is not a request that could be refused. */
			const std::string line = !size ? "" :
							 refused(dying, chain.init(dying).pid(),
								 i < size ? pids[i] : 0, ENOMEM,
								 "lost-init");
			const Fd ns = open_ns(chain.init(dying));
			PausedCall call(chain.ns(2), pids);
			const pid_t caller = call.caller().pid();
			ASSERT_TRUE(call.paused());
			/* Or else the end of the inner one would be reported. */
			std::optional<HeldAtExit> held;
			if (dying == 1) {
				held.emplace(chain.init(2));
			}
			chain.init(dying).kill();
			if (held) {
				ASSERT_ERRNO(0, held->wait());
			}
			/* The init may not have got there yet. */
			const ChildrenIn scope(ns);
			ASSERT_ERRNO(0, scope.error());
			EXPECT_TRUE(wait_until([] { return Request{}.attempt() == ENOMEM; }));
			EXPECT_TEXT("", joined(self->trace->take()));

			EXPECT_ERRNO(ENOMEM, call.finish());
			EXPECT_TEXT(line, joined(self->trace->take(caller)));
		}
	}
}

/* Past PID 300 the search starts again at 300: with this limit, the only number. */
TEST_F(trace, row13_no_automatic_pid_left)
{
	const std::string line = refused(1, self->chain->init(1).pid(), 0, EAGAIN, "none-free");

	auto body = checks(_metadata, [&](auto *_metadata) {
		Spawned only = Request{}.pids({ 300 }).sleeping();
		Sysctl limit("kernel/pid_max");
		const ChildrenIn scope(self->chain->ns(2));

		ASSERT_ERRNO(0, only.error);
		ASSERT_ERRNO(0, scope.error());
		SKIP_IF_MISSING(limit.need(301));
		EXPECT_ERRNO(0, set_last_pid(300));
		EXPECT_ERRNO(EAGAIN, Request{}.pids({ 5 }).attempt());
		EXPECT_ERRNO(EAGAIN, Request{}.attempt());
	});
	Spawned task = self->chain->run_at(1, body);
	const pid_t caller = task.child.pid();

	EXPECT_CHECKS_PASS(task);
	EXPECT_TEXT(line, joined(self->trace->take(caller)));
}

/*
 * Each slab object of a call fails once. Of those that rows 7 to 14 make, the only one
 * without a substitute is the struct pid, before any level is looked at. The number of
 * objects differs by one or so between calls, so a pass may miss it: then try again.
 */
TEST_F_REQUIRES(trace, row14_no_memory_before_a_level_is_looked_at, need::failing_allocations)
{
	constexpr int most_passes = 10;
	const std::string line =
		refused(2, self->chain->init(2).pid(), free_a, ENOMEM, "no-memory");
	auto body = checks(_metadata, [&](auto *_metadata) {
		const Request request = Request{}.pids({ free_a, free_b });
		const Knob fail_nth("/proc/self/fail-nth");
		int reported = 0, passes = 0;
		long left = 0;
		FailAlloc fail;

		fail.set(FailAlloc::slab("ignore-gfp-wait"), "N");
		for (int nth = 1; !reported && passes < most_passes; nth = left ? 1 : nth + 1) {
			const int error = attempt_armed(
				request.args(), [&] { fail_nth.set(nth); },
				[&] {
					left = fail_nth.get();
					fail_nth.set(0);
				});
			const std::string lines = joined(self->trace->take());

			EXPECT_ERRNO(error && !left ? ENOMEM : 0, error);
			if (!lines.empty()) {
				EXPECT_ERRNO(ENOMEM, error);
				EXPECT_TEXT(line, lines);
			}
			reported += !lines.empty();
			passes += left > 0;
		}
		EXPECT_EQ(1, reported);
	});
	Spawned task = self->chain->run_at(2, body);

	EXPECT_CHECKS_PASS(task);
}

/*
 * Once an allocation has failed all others do, those for a level as well. Each call is
 * reported at most once, whichever level lacked memory.
 */
TEST_F_REQUIRES(trace, row14_no_memory_for_a_level, need::failing_allocations, need::pid_20002)
{
	constexpr long largest = 16384, step = 512;
	/* A node of their own in each IDR. */
	const Pids pids = { 20001, 20002, find_free_pid() };
	const std::string space = FailAlloc::slab("space");
	const Shared<long> left;
	int of_a_level = 0;

	for (long bytes = 0; *left <= largest; bytes += step) {
		auto body = checks(_metadata, [&](auto *_metadata) {
			FailAlloc fail;

			fail.any_allocation();
			fail.all_of_slab(-1);
			fail.set(space, std::to_string(bytes));
			const Knob make_it_fail("/proc/self/make-it-fail");
			const int error = attempt_armed(
				Request{}.pids(pids).args(), [&] { make_it_fail.set(1); },
				[&] {
					make_it_fail.set(0);
					*left = read_number(space);
				});
			EXPECT_TRUE(!error || error == ENOMEM);
		});
		Spawned task = self->chain->run_at(2, body);
		const pid_t caller = task.child.pid();

		EXPECT_CHECKS_PASS(task);
		const std::vector<Refused> reported = self->trace->take(caller);
		ASSERT_GT(2U, reported.size());
		if (reported.empty())
			continue;
		const int level = reported[0].number("level");
		EXPECT_TEXT(refused(level, level ? self->chain->init(level).pid() : getpid(),
				    pids[2 - level], ENOMEM, "no-memory"),
			    reported[0].line());
		of_a_level += level < 2;
	}
	EXPECT_LT(0, of_a_level);
}

TEST_HARNESS_MAIN
