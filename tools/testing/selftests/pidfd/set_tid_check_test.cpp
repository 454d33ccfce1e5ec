// SPDX-License-Identifier: GPL-2.0
/*
 * set_tid --check: which of the PIDs are free, and who has the others, before anything
 * is asked for.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/fd.hpp"
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
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/command/expect.hpp"
#include "set_tid_lib/command/holding.hpp"
#include "set_tid_lib/command/run.hpp"
#include "set_tid_lib/command/tasks.hpp"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

namespace
{
/* PIDs that nobody has in a namespace that a test has just made. */
constexpr pid_t free_a = 1001, free_b = 1002;

/* Who has a PID that the kernel finds and /proc does not show. */
constexpr const char *unnamed = "somebody; /proc does not say who";

constexpr const char *no_capability =
	"the caller has no capability in the user namespace that owns it";

/* One line of the text. */
std::string line(int level, long pid, const std::string &is)
{
	char start[64];

	snprintf(start, sizeof(start), "%5d  %9ld  ", level, pid);
	return start + is + "\n";
}

/* The last lines: what --pid-min has to be, where there is one. */
std::string highest(int level, long pid, long floor)
{
	const std::string advice = ", --pid-min " + str(floor) + " keeps them free";

	return "level " + str(level) + ": the highest is " + str(pid) +
	       (need::pid_min() ? "" : advice) + "\n";
}
std::string highest(int level, long pid)
{
	return highest(level, pid, pid + 1);
}

/* Mounts what nobody else sees. Returns 0 or an errno. */
int mount_privately(const char *source, const std::string &target, const char *type, int flags,
		    const char *options)
{
	return unshare(CLONE_NEWNS) || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
			       mount(source, target.c_str(), type, flags, options) ?
		       errno :
		       0;
}

/* Has a /proc of its own, which hides processes of other users. */
int hide_processes(const char *options)
{
	return mount_privately("proc", "/proc", "proc", 0, options);
}

/* Nothing shows of what is in this directory any more. */
int cover(const std::string &path)
{
	return mount_privately("none", path, "tmpfs", 0, nullptr);
}

/* Returns 0 or an errno. */
int have_little_memory()
{
	const rlimit little = { 48 << 20, 48 << 20 };

	return setrlimit(RLIMIT_AS, &little) ? errno : 0;
}

/* It prints exactly these lines, below the heading. */
#define EXPECT_CHECKED(exit_status, lines, command)                       \
	do {                                                              \
		const Ran ran_ = (command).run();                         \
		const std::string &lines_ = (lines);                      \
		EXPECT_TEXT("", ran_.err);                                \
		EXPECT_TEXT("level        PID  is\n" + lines_, ran_.out); \
		EXPECT_EQ(exit_status, ran_.status);                      \
	} while (0)

/* The command line of this program, as --check shows it. */
std::string own_command_line()
{
	std::string text = read_file("/proc/self/cmdline");

	while (!text.empty() && text.back() == '\0')
		text.pop_back();
	std::replace(text.begin(), text.end(), '\0', ' ');
	return text;
}

std::string holds(const std::string &kind, const Holding &held)
{
	const std::string who = str(held.holder()) + " \"test\"",
			  runs = " (" + own_command_line() + ")";

	if (kind == "exited-leader")
		return "process " + who + ", whose first thread has exited";
	if (kind == "thread")
		return "thread " + who + runs + " of process " + str(held.tgid());
	if (kind == "zombie")
		return "zombie " + who + ", until its parent waits for it";
	if (kind == "group" || kind == "session")
		return "only a " + kind + ": process " + who + runs + " is in it";
	return kind + " " + who + runs;
}

/* A directory that is first in PATH, with a crit in it that does this. */
class FakeCrit {
public:
	explicit FakeCrit(const std::string &script)
	{
		char name[] = "/tmp/set_tid_check.XXXXXX";

		dir_ = mkdtemp(name) ? name : "";
		const std::string crit = dir_ + "/crit";
		const Fd file(open(crit.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
		if (script.empty())
			unlink(crit.c_str());
		else if (write(file.get(), script.data(), script.size()) < 0)
			dir_.clear();
		const Fd image(open((dir_ + "/pstree.img").c_str(), O_CREAT | O_CLOEXEC, 0600));
	}
	~FakeCrit()
	{
		for (const char *name : { "/crit", "/pstree.img" })
			unlink((dir_ + name).c_str());
		rmdir(dir_.c_str());
	}
	const std::string &dir() const { return dir_; }
	Command check() const { return with_it({ "--check", "--criu-images", dir_ }); }
	Command compare() const
	{
		return with_it({ "--check", "--report", "--criu-images", dir_ });
	}

private:
	Command with_it(const std::vector<std::string> &arguments) const
	{
		return Command(arguments).before([dir = dir_] {
			return setenv("PATH", (dir + ":/bin:/usr/bin").c_str(), 1) ? errno : 0;
		});
	}

	std::string dir_;
};

} // namespace

FIXTURE(check)
{
	NsChain *chain;
	pid_t host;
	std::string *deepest;
};

FIXTURE_SETUP_REQUIRES(check, need::command, need::initial_pid_ns)
{
	self->chain = new NsChain(2);
	ASSERT_ERRNO(0, self->chain->error());
	self->host = find_free_pid();
	self->deepest = new std::string(str(self->chain->init(2).pid()));
}

FIXTURE_TEARDOWN(check)
{
	delete self->deepest;
	delete self->chain;
}

TEST_F(check, free_at_all_levels)
{
	EXPECT_CHECKED(0,
		       line(0, self->host, "free") + line(1, free_b, "free") +
			       line(2, free_a, "free") + highest(0, self->host) +
			       highest(1, free_b) + highest(2, free_a),
		       Command({ "--enter", *self->deepest, "--check", "--pid",
				 str(free_a) + "," + str(free_b) + "," + str(self->host) }));
}

TEST_F(check, does_not_make_the_call)
{
	const Shared<std::atomic<int>> calls;
	auto count = [&](int, pid_t) { return ++*calls, 0; };

	EXPECT_CHECKED(
		0, line(0, self->host, "free") + highest(0, self->host),
		Command({ "--check", "--pid", str(self->host) }).answered(__NR_clone3, count));
	EXPECT_CHECKED(0, line(2, free_a, "free") + highest(2, free_a),
		       Command({ "--enter", *self->deepest, "--check", "--pid", str(free_a) })
			       .answered(__NR_clone3, count));
	EXPECT_EQ(0, calls->load());
}

TEST_F(check, held_in_each_way)
{
	for (const std::string kind : Holding::kinds) {
		const Holding held(kind);

		ASSERT_TRUE(held.ready());
		EXPECT_CHECKED(1, line(0, held.pid(), holds(kind, held)) + highest(0, held.pid()),
			       Command({ "--check", "--pid", str(held.pid()) }));
	}
}

TEST_F(check, held_in_another_namespace)
{
	NsChain &chain = *self->chain;
	NsChain sibling(1);
	Spawned held;

	prctl(PR_SET_NAME, "test");
	{
		const ChildrenIn scope(chain.ns(2));

		held = Request{}.pids({ free_a, free_b }).sleeping();
	}
	const std::string who =
		"process " + str(held.child.pid()) + " \"test\" (" + own_command_line() + ")";

	ASSERT_ERRNO(0, held.error);
	ASSERT_ERRNO(0, sibling.error());
	/* At each level by its PID there. */
	EXPECT_CHECKED(1,
		       line(1, free_b, who) + line(2, free_a, who) + highest(1, free_b) +
			       highest(2, free_a),
		       Command({ "--enter", *self->deepest, "--check", "--pid",
				 str(free_a) + "," + str(free_b) }));
	/* That PID at the same level, but in another namespace, is in nobody's way. */
	EXPECT_CHECKED(0, line(1, free_b, "free") + highest(1, free_b),
		       Command({ "--enter", str(sibling.init(1).pid()), "--check", "--pid",
				 str(free_b) }));
}

/* It prints exactly these lines, below the heading. */
#define EXPECT_COMPARED(exit_status, lines, ...)                           \
	do {                                                               \
		const Ran ran_ = Command({ __VA_ARGS__ }).run();           \
		const std::string &lines_ = (lines);                       \
		EXPECT_TEXT("", ran_.err);                                 \
		EXPECT_TEXT("level        PID  has\n" + lines_, ran_.out); \
		EXPECT_EQ(exit_status, ran_.status);                       \
	} while (0)

TEST_F(check, restored_at_all_levels)
{
	auto restore = [&](const Pids &pids) {
		const ChildrenIn scope(self->chain->ns(2));

		return Request{}.pids(pids).sleeping();
	};

	prctl(PR_SET_NAME, "test");
	const Spawned held = restore({ free_a, free_b });
	const Spawned other = restore({ free_a + 1, free_b + 1 });
	auto process = [](const Spawned &who) {
		return "process " + str(who.child.pid()) + " \"test\" (" + own_command_line() + ")";
	};
	auto pids = [](pid_t a, pid_t b) { return str(a) + "," + str(b); };

	ASSERT_ERRNO(0, held.error);
	ASSERT_ERRNO(0, other.error);
	EXPECT_COMPARED(0, line(1, free_b, process(held)) + line(2, free_a, process(held)),
			"--enter", *self->deepest, "--check", "--report", "--pid",
			pids(free_a, free_b));
	/* It has come back with one of its PIDs only, and somebody else has the other. */
	EXPECT_COMPARED(1,
			line(1, free_b + 1, "another " + process(other)) +
				line(2, free_a, process(held)),
			"--enter", *self->deepest, "--check", "--report", "--pid",
			pids(free_a, free_b + 1));
	EXPECT_COMPARED(1, line(1, free_b + 2, "nobody has it") + line(2, free_a, process(held)),
			"--enter", *self->deepest, "--check", "--report", "--pid",
			pids(free_a, free_b + 2));
}

/* A number that only names a group or session is no process, and a zombie may be one. */
TEST_F(check, restored_in_each_way)
{
	for (const std::string kind : Holding::kinds) {
		const Holding held(kind);
		const bool leads = kind == "group" || kind == "session";

		ASSERT_TRUE(held.ready());
		EXPECT_COMPARED(leads		 ? 1 :
				kind == "zombie" ? 2 :
						   0,
				line(0, held.pid(), holds(kind, held)), "--check", "--report",
				"--pid", str(held.pid()));
	}
	EXPECT_COMPARED(1, line(0, self->host, "nobody has it"), "--check", "--report", "--pid",
			str(self->host));
	EXPECT_COMPARED(1, line(0, 0, "nobody has it"), "--check", "--report", "--pid", "0");
}

TEST_F(check, restored_above_a_lowered_pid_max)
{
	Sysctl pid_max("kernel/pid_max");
	const pid_t high = pid_max.saved() - 1;

	prctl(PR_SET_NAME, "test");
	const Spawned held = Request{}.pids({ high }).sleeping();
	ASSERT_ERRNO(0, held.error);
	ASSERT_ERRNO(0, pid_max.set(high));
	EXPECT_COMPARED(
		0, line(0, high, "process " + str(high) + " \"test\" (" + own_command_line() + ")"),
		"--check", "--report", "--pid", str(high));
	/* It is there, if /proc does not show it. */
	const Ran ran = Command({ "--check", "--report", "--pid", str(high) })
				.before([=] { return cover("/proc/" + str(high)); })
				.run();
	EXPECT_TEXT("", ran.err);
	EXPECT_TEXT("level        PID  has\n" + line(0, high, unnamed), ran.out);
	EXPECT_EQ(2, ran.status);
}

/* In images a number may name a group or session and nothing else. */
TEST_F(check, restored_criu_images)
{
	const Holding process("process"), group("group");
	const std::string image = R"({"entries":[{"pid":)" + str(process.pid()) +
				  R"(,"ppid":0,"pgid":)" + str(group.pid()) + R"(,"sid":)" +
				  str(process.pid()) + R"(,"threads":[)" + str(process.pid()) +
				  "]}]}";
	const FakeCrit crit("#!/bin/sh\necho '" + image + "'\n");
	const Ran ran = crit.compare().run();
	const std::string a = line(0, process.pid(), holds("process", process)),
			  b = line(0, group.pid(), holds("group", group));

	EXPECT_TEXT("", ran.err);
	EXPECT_TEXT("level        PID  has\n" + (process.pid() < group.pid() ? a + b : b + a),
		    ran.out);
	EXPECT_EQ(0, ran.status);
}

/* To look takes no right to choose. */
TEST_F(check, restored_without_capability)
{
	const Holding held("process");
	const Command command({ "--check", "--report", "--json", "--pid", str(held.pid()) });
	const Ran ran = Command(command).before([] { return become_user(); }).run();

	EXPECT_EQ(0, ran.status) TH_LOG("%s", ran.out.c_str());
	EXPECT_EQ(0u, ran.out.find("{\"result\":\"restored\",")) TH_LOG("%s", ran.out.c_str());
}

TEST_F(check, bad_at_any_level)
{
	const std::string range = "not between 1 and pid_max - 1";
	const std::string end = str(self->chain->pid_max_at(1)), above = str(pid_max());

	for (const char *pid : { "0", "-1", "-2147483648", "2147483647" })
		EXPECT_CHECKED(1, line(0, atol(pid), range), Command({ "--check", "--pid", pid }));
	EXPECT_CHECKED(1, line(0, pid_max(), range), Command({ "--check", "--pid", above }));
	EXPECT_CHECKED(
		1, line(1, atol(end.c_str()), range) + line(2, free_a, "free") + highest(2, free_a),
		Command({ "--enter", *self->deepest, "--check", "--pid",
			  str(free_a) + "," + end }));
	EXPECT_CHECKED(1,
		       line(-1, 7, "there is no level for it") + line(0, self->host, "free") +
			       highest(0, self->host),
		       Command({ "--check", "--pid", str(self->host) + ",7" }));
}

TEST_F_REQUIRES(check, pid_max_of_its_own, need::own_pid_max)
{
	const std::string too_high = ", too high for --pid-min, which leaves 300 below pid_max";
	auto at_both_levels = [&](const std::string &pid) {
		return Command({ "--enter", *self->deepest, "--check", "--pid", pid + "," + pid });
	};

	ASSERT_ERRNO(0, self->chain->set_pid_max_at(1, 1300));
	EXPECT_CHECKED(1,
		       line(1, 1300, "not between 1 and pid_max - 1") + line(2, 1300, "free") +
			       highest(2, 1300),
		       at_both_levels("1300"));
	EXPECT_CHECKED(
		0, line(1, 999, "free") + line(2, 999, "free") + highest(1, 999) + highest(2, 999),
		at_both_levels("999"));
	EXPECT_CHECKED(0,
		       line(1, 1000, "free") + line(2, 1000, "free") +
			       "level 1: the highest is 1000" + (need::pid_min() ? "" : too_high) +
			       "\n" + highest(2, 1000),
		       at_both_levels("1000"));
}

TEST_F(check, no_capability)
{
	const Command command({ "--check", "--pid", str(self->host) });

	EXPECT_CHECKED(1, line(0, self->host, no_capability),
		       Command(command).before([] { return become_user(); }));
	EXPECT_CHECKED(1, line(0, self->host, no_capability), Command(command).before([] {
		return lose_capabilities({ CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE });
	}));
	for (int cap : { CAP_SYS_ADMIN, CAP_CHECKPOINT_RESTORE })
		EXPECT_CHECKED(0, line(0, self->host, "free") + highest(0, self->host),
			       Command(command).before([=] { return lose_capabilities({ cap }); }));
}

/* Each level has its owner. */
TEST_F_REQUIRES(check, owner_of_a_level, need::user_ns)
{
	NsChain &chain = *self->chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	EXPECT_CHECKED(
		1, line(2, free_b, no_capability) + line(3, free_a, "free") + highest(3, free_a),
		Command({ "--enter", str(chain.init(3).pid()), "--check", "--pid",
			  str(free_a) + "," + str(free_b) })
			.before([&] {
				return setns(chain.ns(3).get(), CLONE_NEWUSER) ? errno : 0;
			}));
}

TEST_F(check, namespace_that_lost_its_init)
{
	const HeldAtExit inner(self->chain->init(2));

	ASSERT_ERRNO(0, inner.error());
	ASSERT_ERRNO(0, self->chain->init(1).kill());
	ASSERT_ERRNO(0, inner.wait());
	/* Linux 6.12 creates processes below it. */
	const bool refused = self->chain->run_at(2, [] { return 0; }).error;
	EXPECT_CHECKED(1,
		       line(1, free_b, "the namespace has no init") +
			       line(2, free_a, refused ? "the namespace has no init" : "free") +
			       highest(1, free_b) + highest(2, free_a),
		       Command({ "--enter", *self->deepest, "--check", "--pid",
				 str(free_a) + "," + str(free_b) }));
}

/* The other threads are the init then. */
TEST_F(check, init_whose_first_thread_has_exited)
{
	Spawned init = Request{}.flags(CLONE_NEWPID).spawn([] {
		const StartedThread rest = Request{}.thread().start([] {
			pause();
			return 0;
		});

		syscall(__NR_exit, rest.error);
		return 0;
	});
	const std::string pid = str(init.child.pid());

	ASSERT_ERRNO(0, init.error);
	ASSERT_TRUE(wait_until([&] { return state_in("/proc/" + pid + "/stat") == 'Z'; }));
	EXPECT_CHECKED(0, line(1, free_a, "free") + highest(1, free_a),
		       Command({ "--enter", pid, "--check", "--pid", str(free_a) }));
}

TEST_F(check, list_on_standard_input)
{
	const std::string own = str(getpid());
	prctl(PR_SET_NAME, "test");
	const std::string who = "process " + own + " \"test\" (" + own_command_line() + ")";

	EXPECT_CHECKED(1,
		       line(0, self->host, "free") + line(0, getpid(), who) +
			       line(0, self->host, "asked for twice") +
			       highest(0, std::max(self->host, getpid())),
		       Command({ "--check" })
			       .input("# PIDs\n" + str(self->host) + "\n\n  " + own +
				      " # this one\r\n" + str(self->host)));
	EXPECT_REFUSED("--pid: \"x\" is not a number",
		       Command({ "--check" }).input(str(self->host) + "\nx\n"));
	EXPECT_REFUSED("--pid: \"\\x1b[2J\\x00y\" is not a number",
		       Command({ "--check" }).input(std::string("\x1b[2J\0y", 6)));
}

/* The list was lost on its way here: that does not mean that all is well. */
TEST_F(check, list_without_pids)
{
	EXPECT_REFUSED("standard input has no PIDs", Command({ "--check" }));
	EXPECT_REFUSED("standard input has no PIDs",
		       Command({ "--check", "--report" }).input("\n# nothing\n"));
}

TEST_F(check, list_that_is_too_long_for_the_memory)
{
	std::string list;

	EXPECT_REFUSED("cannot read standard input (ENOMEM)",
		       Command({ "--check" })
			       .input(str(self->host) + "\n" + std::string(64 << 20, ' ') + "\n1\n")
			       .before(have_little_memory));
	while (list.size() < 4 << 20)
		list += str(self->host) + "\n";
	EXPECT_SAYS_JSON(125, failed("out of memory", "\"ENOMEM\""), "out of memory (ENOMEM)",
			 Command({ "--check", "--json" }).input(list).before(have_little_memory));
}

TEST_F(check, names_and_command_lines_are_any_bytes)
{
	/* Its arguments are these: 199 bytes would be shown in full, with the name. */
	const std::string argument = "\x1b[2J\n\"\\ " + std::string(250, 'x');
	const Shared<std::atomic<bool>> named;
	Spawned held = run_in_child([&] {
		/* cat waits for input that never comes. */
		int ends[2];

		if (pipe(ends) || dup2(ends[0], 0))
			return 1;
		execl("/bin/cat", "cat", "-", argument.c_str(), nullptr);
		return 1;
	});
	const std::string pid = str(held.child.pid());

	ASSERT_TRUE(wait_until([&] { return read_file("/proc/" + pid + "/comm") == "cat\n"; }));
	EXPECT_CHECKED(1,
		       line(0, held.child.pid(),
			    "process " + pid + " \"cat\" (cat - \\x1b[2J\\x0a\"\\x5c " +
				    std::string(200 - 14, 'x') + "...)") +
			       highest(0, held.child.pid()),
		       Command({ "--check", "--pid", pid }));
}

TEST_F(check, name_of_any_bytes)
{
	prctl(PR_SET_NAME, "\x1b[1m\n\"a\\b");
	EXPECT_CHECKED(1,
		       line(0, getpid(),
			    "process " + str(getpid()) + " \"\\x1b[1m\\x0a\"a\\x5cb\" (" +
				    own_command_line() + ")") +
			       highest(0, getpid()),
		       Command({ "--check", "--pid", str(getpid()) }));
}

TEST_F(check, json)
{
	const Holding held("zombie");
	const long high = std::max(held.pid(), self->host);
	const std::string pid = str(held.pid());
	const std::string taken = "{\"level\":0,\"pid\":" + pid +
				  ",\"state\":\"taken\",\"reason\":\"in-use\",\"holder\":{";
	const std::string holder = "\"kind\":\"zombie\",\"pid\":" + pid + ",\"tgid\":" + pid +
				   ",\"comm\":\"test\",\"command_line\":\"\"},";
	const std::string text =
		"\"text\":\"zombie " + pid + " \\\"test\\\", until its parent waits for it\"}";
	const std::string free = "{\"level\":0,\"pid\":" + str(self->host) +
				 ",\"state\":\"free\",\"reason\":\"free\",\"holder\":null,"
				 "\"text\":\"free\"}";
	const std::string last = ",\"highest\":[{\"level\":0,\"pid\":" + str(high) +
				 ",\"pid_min\":" + str(high + 1) + "}]}\n";
	const Ran ran = Command({ "--check", "--json" }).input(pid + "\n" + str(self->host)).run();

	ASSERT_TRUE(held.ready());
	EXPECT_TEXT("", ran.err);
	EXPECT_EQ(1, ran.status);
	std::string all = "{\"result\":\"not-free\",\"requests\":[[";
	all.append(taken).append(holder).append(text).append("],[").append(free).append("]]").append(
		last);
	EXPECT_TEXT(all, ran.out);
}

TEST_F(check, json_of_a_failure)
{
	const std::string why = "--enter " + str(self->host) + ": there is no such process";

	EXPECT_SAYS_JSON(
		125, failed(why, "\"ESRCH\""), why + " (ESRCH)",
		Command({ "--enter", str(self->host), "--check", "--json", "--pid", "1" }));
}

/* Whether a PID is free does not come from /proc, only who has it. */
TEST_F(check, proc_that_hides_processes)
{
	const std::string free = line(0, self->host, "free") + highest(0, self->host);
	const Command command({ "--check", "--pid", str(self->host) });

	EXPECT_CHECKED(0, free, Command(command).before([] {
		const int error = hide_processes("hidepid=2");

		return error ? error : lose_capabilities({ CAP_SYS_PTRACE });
	}));
	EXPECT_CHECKED(0, free,
		       Command(command).before([] { return hide_processes("hidepid=2"); }));
}

TEST_F(check, process_that_proc_does_not_show)
{
	const Shared<std::atomic<bool>> ready;
	const Fd creator = own_pidfd();
	Spawned held = run_in_child([&] {
		*ready = !become_user();
		return sleep_beside(creator.get());
	});

	ASSERT_TRUE(wait_until([&] { return ready->load(); }));
	EXPECT_CHECKED(1, line(0, held.child.pid(), unnamed) + highest(0, held.child.pid()),
		       Command({ "--check", "--pid", str(held.child.pid()) }).before([] {
			       const int error = hide_processes("hidepid=2");

			       /* Group 0 may see everybody. */
			       if (error || setgroups(0, nullptr) || setresgid(1, 1, 1))
				       return error ? error : errno;
			       return lose_capabilities({ CAP_SYS_PTRACE });
		       }));
}

/* Something is mounted where a process would be looked at. */
TEST_F(check, process_that_cannot_be_looked_at)
{
	Spawned held = Request{}.sleeping();
	const std::string proc = "/proc/" + str(held.child.pid());
	auto covered = [&] { return cover(proc); };
	auto replaced = [&] { return mount_privately("/proc/1", proc, nullptr, MS_BIND, nullptr); };
	const std::string taken = line(0, held.child.pid(), unnamed) + highest(0, held.child.pid());

	EXPECT_CHECKED(1, taken,
		       Command({ "--check", "--pid", str(held.child.pid()) }).before(covered));
	EXPECT_CHECKED(1, taken,
		       Command({ "--check", "--pid", str(held.child.pid()) }).before(replaced));
	EXPECT_CHECKED(0, line(0, self->host, "free") + highest(0, self->host),
		       Command({ "--check", "--pid", str(self->host) }).before(covered));
}

/* Its leader has ended, and who is left in it is not in the namespace. */
TEST_F(check, group_whose_members_are_further_out)
{
	const Shared<std::atomic<pid_t>> number;
	const Fd creator = own_pidfd();
	Spawned member = run_in_child([&] {
		if (setns(self->chain->ns(1).get(), CLONE_NEWPID))
			return errno;
		const Fd leaders_end = own_pidfd();
		const pid_t leader = fork();
		if (!leader) {
			die_with_parent();
			return sleep_beside(leaders_end.get());
		}
		const Pids pids = nspids("/proc/" + str(leader) + "/status");
		if (setpgid(leader, leader) || setpgid(0, leader) || kill(leader, SIGKILL) ||
		    waitpid(leader, nullptr, 0) < 0)
			return errno;
		*number = pids[0];
		return sleep_beside(creator.get());
	});

	ASSERT_TRUE(wait_until([&] { return *number || exits_within(member.child, 0); }));
	EXPECT_CHECKED(1, line(1, *number, unnamed) + highest(1, *number),
		       Command({ "--enter", str(self->chain->init(1).pid()), "--check", "--pid",
				 str(*number) }));
}

/* Who has it is looked at when it is said, not only when all processes are listed. */
TEST(holders_are_looked_at_again)
{
	SKIP_IF_MISSING(need::root());
	Spawned child = Request{}.sleeping();
	const pid_t pid = child.child.pid();
	const Fd ns(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC));
	Holders holders({ ns_number(ns) }, 0);

	ASSERT_ERRNO(0, child.error);
	ASSERT_TRUE(holders.find(0, pid).has_value());
	EXPECT_EQ(Holder::process, holders.find(0, pid)->kind);
	ASSERT_ERRNO(0, child.child.kill());
	child.child.wait_zombie();
	ASSERT_TRUE(holders.find(0, pid).has_value());
	EXPECT_EQ(Holder::zombie, holders.find(0, pid)->kind);
	child.child.wait();
	EXPECT_FALSE(holders.find(0, pid).has_value());
}

/* A process may say that its arguments are gigabytes of its memory. */
TEST_F(check, command_line_without_end)
{
	const size_t size = 256 << 20;
	const Shared<std::atomic<int>> ready;
	const Fd creator = own_pidfd();
	Spawned held = run_in_child([&] {
		char *arguments = static_cast<char *>(
			mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0));

		*ready = prctl(PR_SET_MM, PR_SET_MM_ARG_START, arguments, 0, 0) ||
					 prctl(PR_SET_MM, PR_SET_MM_ARG_END, arguments + size - 1,
					       0, 0) ?
				 -errno :
				 1;
		return sleep_beside(creator.get());
	});

	ASSERT_TRUE(wait_until([&] { return ready->load(); }));
	SKIP_IF_MISSING(*ready == -EPERM ? "needs CAP_SYS_RESOURCE" : nullptr);
	ASSERT_EQ(1, ready->load());
	const Ran ran = Command({ "--check", "--pid", str(held.child.pid()) })
				.before(have_little_memory)
				.run();
	EXPECT_TEXT("", ran.err);
	EXPECT_EQ(1, ran.status);
	EXPECT_GT(1000u, ran.out.size());
}

/* The command's own processes have PIDs there: those are free as well. */
TEST_F(check, own_processes_are_not_in_the_way)
{
	const std::string all[] = { str(free_a), str(free_a + 1), str(free_a + 2),
				    str(free_a + 3) };
	std::string list, lines;

	for (int level : { 1, 2 })
		ASSERT_EQ(0, self->chain->run_at(level, [] { return set_last_pid(free_a - 1); })
				     .child.wait()
				     .code);
	for (const std::string &pid : all) {
		list.append(pid).append(",").append(pid).append("\n");
		lines += line(1, atol(pid.c_str()), "free") + line(2, atol(pid.c_str()), "free");
	}
	EXPECT_CHECKED(0, lines + highest(1, free_a + 3) + highest(2, free_a + 3),
		       Command({ "--enter", *self->deepest, "--check" }).input(list));
}

namespace
{
/* Whether only its init is in a namespace. */
bool is_empty(const NsChain &chain)
{
	return chain.run_deepest([] { return kill(-1, 0) ? errno : 0; }).child.wait().code == ESRCH;
}

pid_t parent_of(pid_t pid)
{
	return pids_in(read_file("/proc/" + str(pid) + "/status"), "PPid:").at(0);
}
} // namespace

/* Whoever is root in a namespace may stop the process that looks there. */
TEST_F(check, namespace_where_all_are_stopped)
{
	NsChain pod(1);
	const std::string init = str(pod.init(1).pid());
	const Command command({ "--enter", init, "--check", "--pid", str(free_a) });

	ASSERT_ERRNO(0, pod.error());
	/* The process calls prctl(), and nobody else. */
	EXPECT_CHECKED(2, line(1, free_a, "nobody can look there (ETIMEDOUT)") + highest(1, free_a),
		       Command(command).answered(__NR_prctl, [](int, pid_t caller) {
			       return kill(caller, SIGSTOP) ? errno : 0;
		       }));
	EXPECT_TRUE(is_empty(pod));
	/* Nor does it stay there if the command is killed meanwhile. */
	const Ran ran =
		Command(command)
			.answered(__NR_prctl,
				  [](int, pid_t caller) {
					  kill(caller, SIGSTOP);
					  return kill(parent_of(parent_of(caller)), SIGKILL) ?
							 errno :
							 0;
				  })
			.run();
	EXPECT_EQ(128 + SIGKILL, ran.status);
	EXPECT_TRUE(wait_until([&] { return is_empty(pod); }));
}

/* Without pid_max it is not known which PIDs may be asked for. */
TEST_F(check, pid_max_that_cannot_be_read)
{
	auto hide = [] { return cover("/proc/sys"); };
	const std::string pid = str(self->host);

	prctl(PR_SET_NAME, "test");
	EXPECT_CHECKED(2,
		       line(0, self->host, "pid_max cannot be read there") +
			       "level 0: the highest is " + pid + "\n",
		       Command({ "--check", "--pid", pid }).before(hide));
	EXPECT_CHECKED(1, line(0, 4194304, "not between 1 and pid_max - 1"),
		       Command({ "--check", "--pid", "4194304" }).before(hide));
	EXPECT_CHECKED(1,
		       line(0, getpid(),
			    "process " + str(getpid()) + " \"test\" (" + own_command_line() + ")") +
			       "level 0: the highest is " + str(getpid()) + "\n",
		       Command({ "--check", "--pid", str(getpid()) }).before(hide));
}

/* Where there is no memory for a process, it is not known whether there is an init. */
TEST_F(check, namespace_without_memory)
{
	/* The first child is there, the one in the namespace is not, nor is the next one. */
	auto none_from_the_second = [](int nth, pid_t) { return nth ? ENOMEM : 0; };

	EXPECT_CHECKED(2, line(2, free_a, "nobody can look there (ENOMEM)") + highest(2, free_a),
		       Command({ "--enter", *self->deepest, "--check", "--pid", str(free_a) })
			       .answered(__NR_clone, none_from_the_second));
}

/* In a container there may be more levels than its /proc shows. */
TEST_F(check, levels_outside_of_a_container)
{
	Spawned task = self->chain->run_at(
		1, checks(_metadata, [&](auto *_metadata) {
			EXPECT_CHECKED(
				2,
				line(-1, 7, "the namespace is outside of the caller's") +
					line(0, free_a, "free") + highest(0, free_a),
				Command({ "--check", "--pid", str(free_a) + ",7" }).before([] {
					return hide_processes("");
				}));
		}));

	EXPECT_CHECKS_PASS(task);
}

TEST_F(check, pids_of_criu_images)
{
	const std::string a = str(self->host), b = str(find_free_pid()), c = str(find_free_pid()),
			  d = str(find_free_pid());
	const FakeCrit crit("#!/bin/sh\n"
			    "[ \"$1 $2\" = 'decode -i' ] && [ -e \"$3\" ] || exit 1\n"
			    "echo '{ \"magic\": \"PSTREE\", \"entries\": [ { \"pid\": " +
			    a + ", \"ppid\": 0, \"pgid\": " + b + ", \"sid\": 0, \"threads\": [ " +
			    a + ", " + c + " ] }, { \"pid\": " + d + ", \"ppid\": " + a +
			    ", \"pgid\": " + b + ", \"sid\": " + a + ", \"threads\": [ " + d +
			    " ] } ] }'\n");
	std::vector<long> pids = { atol(a.c_str()), atol(b.c_str()), atol(c.c_str()),
				   atol(d.c_str()) };
	std::string lines;

	std::sort(pids.begin(), pids.end());
	for (long pid : pids)
		lines += line(0, pid, "free");
	/* Room for the helpers that CRIU makes. */
	EXPECT_CHECKED(0, lines + highest(0, pids.back(), pids.back() + 1 + 4), crit.check());
}

/* CRIU gives the first process another session and group then. */
TEST_F(check, criu_images_of_a_shell_job)
{
	const std::string a = str(self->host), shell = str(getpid());
	const FakeCrit crit("#!/bin/sh\n"
			    "echo '{\"magic\":\"PSTREE\",\"entries\":[{\"pid\":" +
			    a + ",\"ppid\":0,\"pgid\":" + a + ",\"sid\":" + shell +
			    ",\"threads\":[" + a + "]}]}'\n");

	EXPECT_CHECKED(0, line(0, self->host, "free") + highest(0, self->host, self->host + 1 + 1),
		       crit.check());
}

TEST_F(check, criu_images_that_cannot_be_read)
{
	const FakeCrit none(""), fails("#!/bin/sh\nexit 3\n"), empty("#!/bin/sh\necho '{}'\n"),
		wrapper("#!/bin/sh\nexit 127\n");

	EXPECT_REFUSED("cannot read /nonexistent/pstree.img (ENOENT)",
		       Command({ "--check", "--criu-images", "/nonexistent" }));
	EXPECT_REFUSED("crit cannot read " + wrapper.dir() + "/pstree.img", wrapper.check());
	EXPECT_REFUSED("--criu-images needs crit, which comes with CRIU",
		       none.check().before([dir = none.dir()] {
			       return setenv("PATH", dir.c_str(), 1) ? errno : 0;
		       }));
	EXPECT_REFUSED("crit cannot read " + fails.dir() + "/pstree.img", fails.check());
	EXPECT_REFUSED("crit cannot read " + fails.dir() + "/pstree.img",
		       fails.check().before([dir = fails.dir()] {
			       signal(SIGCHLD, SIG_IGN);
			       return setenv("PATH", (dir + ":/bin:/usr/bin").c_str(), 1) ? errno :
											    0;
		       }));
	EXPECT_REFUSED(empty.dir() + "/pstree.img has no PIDs", empty.check());
}

TEST_F(check, options)
{
	const std::string runs =
		"--check runs nothing: it takes --pid, --criu-images, --enter, --report and --json";

	EXPECT_REFUSED(runs, Command({ "--check", "--pid", "1", "true" }));
	EXPECT_REFUSED(runs, Command({ "--check", "--new-pidns", "--pid", "1" }));
	EXPECT_REFUSED("--check changes nothing: --pid-min comes after it",
		       Command({ "--check", "--pid-min", "5" }));
	EXPECT_REFUSED("--criu-images needs --check", Command({ "--criu-images", "/tmp" }));
	EXPECT_REFUSED("--criu-images and --pid both say which PIDs",
		       Command({ "--check", "--pid", "1", "--criu-images", "/tmp" }));
}

TEST_F(check, namespace_to_enter)
{
	const std::string host = str(self->host);
	const Holding thread("thread"), zombie("zombie");
	const std::string tid = str(thread.pid()), ended = str(zombie.pid());
	const bool newer = Fd(syscall(__NR_pidfd_open, thread.pid(), 0)).valid() ? false :
										   errno == ENOENT;

	EXPECT_REFUSED("--enter " + host + ": there is no such process (ESRCH)",
		       Command({ "--enter", host, "--check", "--pid", "1" }));
	EXPECT_REFUSED("--enter " + tid + ": this is a thread, not a process (" +
			       (newer ? "ENOENT" : "EINVAL") + ")",
		       Command({ "--enter", tid, "--check", "--pid", "1" }));
	EXPECT_REFUSED("--enter " + ended + ": the process has ended (ESRCH)",
		       Command({ "--enter", ended, "--check", "--pid", "1" }));
	EXPECT_REFUSED("the caller's children are in another PID namespace than the caller: "
		       "--enter one of them",
		       Command({ "--check", "--pid", "1" }).before([] {
			       return unshare(CLONE_NEWPID) ? errno : 0;
		       }));
}

/* The number is one in the caller's namespace, whichever /proc there is. */
TEST_F(check, proc_of_another_namespace)
{
	Spawned task = self->chain->run_at(
		1, checks(_metadata, [&](auto *_metadata) {
			Spawned init = Request{}.flags(CLONE_NEWPID).sleeping();
			ASSERT_ERRNO(0, init.error);
			EXPECT_CHECKED(0, line(2, free_a, "free") + highest(2, free_a),
				       Command({ "--enter", str(init.child.pid()), "--check",
						 "--pid", str(free_a) }));
		}));

	EXPECT_CHECKS_PASS(task);
}

TEST_HARNESS_MAIN
