// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU restores what it has dumped, with every PID, TID, process group, session
 * and parent as it was.
 *
 * What is dumped is this program again, as one of the workloads below. Before and
 * after, the processes are compared by what /proc shows of them. CRIU's log and a
 * watch on ns_last_pid show that clone3() with set_tid chose the PIDs.
 *
 * SET_TID_CRIU_ROUNDS: how often the tests named rounds dump and restore their processes.
 * SET_TID_CRIU_DOC: set_tid_criu.rst, whose recipe is carried out.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/initless_ns.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/sysctl.hpp"
#include "set_tid_lib/thread.hpp"
#include "set_tid_lib/trace.hpp"
#include "set_tid_lib/criu/processes.hpp"
#include "set_tid_lib/criu/recipe.hpp"
#include "set_tid_lib/criu/subject.hpp"
#include "set_tid_lib/criu/workload.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace
{
/* Whether somebody has opened ns_last_pid, the old way to choose a PID. */
class LastPidWatch {
public:
	LastPidWatch() : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
	{
		watch_ = inotify_add_watch(fd_.get(), "/proc/sys/kernel/ns_last_pid", IN_OPEN);
	}
	bool valid() const { return watch_ >= 0; }
	bool opened() const
	{
		inotify_event event;

		return read(fd_.get(), &event, sizeof(event)) > 0;
	}

private:
	Fd fd_;
	int watch_;
};
} // namespace

namespace need
{
static const char *criu()
{
	return access(::criu, X_OK) ? "needs CRIU, as /usr/sbin/criu" : nullptr;
}
} // namespace need

FIXTURE(criu){};

FIXTURE_VARIANT(criu)
{
	const char *workload;
	bool in_pod;
};

FIXTURE_VARIANT_ADD(criu, tree){ "tree", false };
FIXTURE_VARIANT_ADD(criu, threads){ "threads", false };
FIXTURE_VARIANT_ADD(criu, zombies){ "zombies", false };
FIXTURE_VARIANT_ADD(criu, session_without_leader){ "session_without_leader", false };
FIXTURE_VARIANT_ADD(criu, pid_namespace){ "pid_namespace", false };
FIXTURE_VARIANT_ADD(criu, many){ "many", false };
FIXTURE_VARIANT_ADD(criu, shell_job){ "shell_job", false };
FIXTURE_VARIANT_ADD(criu, existing_namespace){ "tree", true };

FIXTURE_SETUP(criu)
{
}

FIXTURE_TEARDOWN(criu)
{
}

/* The body of the test below, in a process that may have a terminal. */
void expect_to_come_back(struct __test_metadata *_metadata, const std::string &name,
			 const Fd *terminal, const Child *pod = nullptr)
{
	Subject subject(name, terminal, pod);
	const LastPidWatch watch;

	ASSERT_ERRNO(0, subject.error());
	ASSERT_TRUE(watch.valid());
	const Processes before = subject.processes();
	ASSERT_EQ(workloads.at(name).processes, before.pids.size())
	TH_LOG("%s", before.text.c_str());
	ASSERT_EQ(workloads.at(name).threads, before.threads);

	ASSERT_EQ(0, subject.dump())
	TH_LOG("%s", first_line_with(subject.log("dump"), "Error").c_str());
	ASSERT_TRUE(access(("/proc/" + std::to_string(subject.first())).c_str(), F_OK));
	ASSERT_EQ(0, subject.restore())
	TH_LOG("%s", first_line_with(subject.log("restore"), "Error").c_str());
	EXPECT_TEXT(before.text, subject.processes().text);
	if (pod)
		EXPECT_EQ(pid_ns_inode(pod->pid()), pid_ns_inode(subject.first()));

	const size_t processes =
		lines_with(subject.log("restore"), "Creating process using clone3()").size();
	const size_t threads =
		lines_with(subject.log("restore"), "Using clone3 to restore the process").size();
	/* To have a session's leader gone, CRIU makes one, and lets it go. */
	EXPECT_LE(before.pids.size(), processes);
	EXPECT_EQ(before.threads, threads);
	EXPECT_FALSE(watch.opened());
	TH_LOG("%zu processes and %zu threads: clone3() %zu and %zu times, ns_last_pid not used",
	       before.pids.size(), before.threads, processes, threads);
}

/* As a login has it: a session with a terminal. Its first process is the caller. */
Fd open_terminal()
{
	Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));

	setsid();
	if (grantpt(master.get()) || unlockpt(master.get()))
		return {};
	static Fd kept;
	Fd terminal(open(ptsname(master.get()), O_RDWR | O_CLOEXEC));
	kept = std::move(master);
	return terminal;
}

TEST_F(criu, comes_back_as_it_was)
{
	const std::string name = variant->workload;
	auto as_shell = checks(_metadata, [&](auto *_metadata) {
		const Fd terminal = open_terminal();

		ASSERT_TRUE(terminal.valid());
		expect_to_come_back(_metadata, name, &terminal);
	});

	NsChain pod(variant->in_pod ? 1 : 0);

	ASSERT_ERRNO(0, pod.error());
	if (name == "shell_job")
		EXPECT_CHECKS_PASS(run_in_child(as_shell));
	else
		expect_to_come_back(_metadata, name, nullptr, pod.depth() ? &pod.init(1) : nullptr);
}

/* The watch works, or else the tests above would show nothing. */
TEST(last_pid_watch_sees_a_writer)
{
	const LastPidWatch watch;

	ASSERT_TRUE(watch.valid());
	EXPECT_FALSE(watch.opened());
	ASSERT_ERRNO(0, set_last_pid(last_pid()));
	EXPECT_TRUE(watch.opened());
}

/*
 * CRIU refuses to dump it. clone3() can do what CRIU would need: create the first
 * thread with the PID of the process and another one with its TID, then end the
 * first one.
 */
TEST(exited_leader_can_be_put_back)
{
	Subject subject("exited_leader");

	ASSERT_ERRNO(0, subject.error());
	while (subject.processes().text.find("zombie") == std::string::npos)
		sched_yield();
	const Processes before = subject.processes();
	const pid_t pid = subject.first();
	const pid_t tid = entries("/proc/" + std::to_string(pid) + "/task").back();

	EXPECT_NE(0, subject.dump());
	TH_LOG("CRIU: %s", first_line_with(subject.log("dump"), "Error").c_str());
	subject.end();

	auto leader = [&] {
		setsid();
		StartedThread rest =
			Request{}.thread().pids({ tid }).start([]() -> int { stay(); });
		syscall(__NR_exit, rest.error);
		return 0;
	};
	Spawned again = Request{}.pids({ pid }).spawn(leader);
	ASSERT_ERRNO(0, again.error);
	while (field(read_file("/proc/" + std::to_string(pid) + "/status"), "State")[0] != 'Z')
		sched_yield();
	EXPECT_TEXT(before.text, Processes(pid).text);
}

FIXTURE(taken){};

FIXTURE_VARIANT(taken)
{
	const char *workload;
	bool thread;
};

FIXTURE_VARIANT_ADD(taken, pid){ "tree", false };
FIXTURE_VARIANT_ADD(taken, tid){ "threads", true };

FIXTURE_SETUP(taken)
{
}

FIXTURE_TEARDOWN(taken)
{
}

TEST_F(taken, restore_fails_and_can_be_repeated)
{
	Subject subject(variant->workload);

	ASSERT_ERRNO(0, subject.error());
	const Processes before = subject.processes();
	const pid_t last = before.pids.back();
	const std::string tasks = "/proc/" + std::to_string(last) + "/task";
	const pid_t taken = variant->thread ? entries(tasks).back() : last;
	ASSERT_EQ(0, subject.dump());
	RefusalTrace trace;
	Spawned holder = Request{}.pids({ taken }).sleeping();

	ASSERT_ERRNO(0, holder.error);
	EXPECT_NE(0, subject.restore());
	TH_LOG("CRIU: %s", first_line_with(subject.log("restore"), "Error").c_str());
	if (trace.missing())
		TH_LOG("the kernel: nothing more (%s)", trace.missing());
	for (const Refused &refused : trace.take()) {
		TH_LOG("the kernel: %s", refused.line().c_str());
		EXPECT_TEXT("process", refused.text("holder"));
		EXPECT_EQ(holder.child.pid(), refused.number("holder_pid"));
	}
	for (pid_t pid : before.pids)
		EXPECT_EQ(pid == taken, pid_in_use(pid));
	holder.child.end();
	ASSERT_EQ(0, subject.restore());
	EXPECT_TEXT(before.text, subject.processes().text);
}

namespace
{
int rounds()
{
	const char *set = getenv("SET_TID_CRIU_ROUNDS");

	return set ? atoi(set) : 3;
}

/* A few of its children are there at any time, each for a moment. */
int fork_all_the_time()
{
	std::deque<pid_t> children;

	for (;;) {
		const pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			children.push_back(pid);
		if (!children.empty() && (pid < 0 || children.size() > 4)) {
			waitpid(children.front(), nullptr, 0);
			children.pop_front();
		}
	}
}

/* The line of CRIU's log that says that a PID or a TID was in use, or "". */
std::string in_use_line(const std::string &log)
{
	for (const std::string &line : lines_with(log, "Can't fork for"))
		if (line.find("File exists") != line.npos)
			return line;
	for (const std::string &line : lines_with(log, "Unable to create a thread: -17"))
		return line;
	return "";
}
} // namespace

FIXTURE(rounds){};

FIXTURE_VARIANT(rounds)
{
	const char *workload;
	bool in_pod;
};

FIXTURE_VARIANT_ADD(rounds, processes){ "forty", false };
FIXTURE_VARIANT_ADD(rounds, threads){ "many_threads", false };
FIXTURE_VARIANT_ADD(rounds, existing_namespace){ "forty", true };

namespace
{
template <typename Fn> Spawned run_in_pod(const NsChain &pod, Fn fn)
{
	return pod.depth() ? pod.run_deepest(fn) : run_in_child(fn);
}

int set_in_pod(const NsChain &pod, const std::string &name, long value)
{
	auto set = [&] { return write_file("/proc/sys/kernel/" + name, std::to_string(value)); };

	return run_in_pod(pod, set).child.wait().code;
}

/* A PID namespace, mostly with a low pid_max, and a subject that has low PIDs there. */
struct Rounds {
	Sysctl pid_max{ "kernel/pid_max" }, pid_min{ "kernel/pid_min" };
	NsChain pod; /* without a level: the caller's own namespace */
	std::optional<Subject> subject;
};

void prepare(struct __test_metadata *_metadata, Rounds &rounds, const char *workload, bool in_pod)
{
	/* Those that others get wrap around to the subject's several times a second. */
	constexpr pid_t lowest = 320, max = 1024;

	if (in_pod)
		ASSERT_ERRNO(0, rounds.pod.add());
	/* Before Linux 6.14 that is the machine's, and this restores it. */
	ASSERT_ERRNO(0, rounds.pid_max.set(rounds.pid_max.saved()));
	ASSERT_EQ(0, set_in_pod(rounds.pod, "pid_max", max));
	ASSERT_EQ(0, set_in_pod(rounds.pod, "ns_last_pid", lowest));
	rounds.subject.emplace(workload, nullptr, in_pod ? &rounds.pod.init(1) : nullptr);
	ASSERT_ERRNO(0, rounds.subject->error());
}

/*
 * Dumps and restores while two others fork all the time, until in so many rounds a restore
 * has found a PID in use; it is tried again then. Returns in how many it has.
 */
int restore_beside_others(struct __test_metadata *_metadata, Rounds &in, int enough)
{
	Subject &subject = *in.subject;
	const Processes before = subject.processes();
	Spawned others[] = { run_in_pod(in.pod, fork_all_the_time),
			     run_in_pod(in.pod, fork_all_the_time) };
	int failed = 0, round;

	ASSERT_ERRNO(0, others[0].error);
	ASSERT_ERRNO(0, others[1].error);
	for (round = 0; round < rounds() && failed < enough; round++) {
		int tries = 1;

		ASSERT_EQ(0, subject.dump())
		TH_LOG("%s", first_line_with(subject.log("dump"), "Error").c_str());
		for (; subject.restore(); tries++) {
			const std::string why = in_use_line(subject.log("restore"));

			ASSERT_FALSE(why.empty())
			TH_LOG("%s", first_line_with(subject.log("restore"), "Error").c_str());
			ASSERT_GT(100, tries);
			if (tries == 1)
				TH_LOG("round %d: %s", round, why.c_str());
		}
		failed += tries > 1;
		ASSERT_TEXT(before.text, subject.processes().text);
	}
	/* They have forked all the time. */
	for (const Spawned &other : others)
		EXPECT_FALSE(exits_within(other.child, 0));
	TH_LOG("%d of %d restores failed at first", failed, round);
	return failed;
}
} // namespace

FIXTURE_SETUP(rounds)
{
}

FIXTURE_TEARDOWN(rounds)
{
}

/* Without this the next test would show nothing: at least 5 of 100 fail. */
TEST_F_TIMEOUT(rounds, some_fail_while_others_fork, 3600)
{
	Rounds in;

	prepare(_metadata, in, variant->workload, variant->in_pod);
	const int failed = restore_beside_others(_metadata, in, 5);
	if (rounds() >= 100)
		EXPECT_EQ(5, failed);
}

/* Row 28: above kernel.pid_min nobody else gets a PID of the image, so the same restores work. */
TEST_F_TIMEOUT(rounds, none_fails_with_pid_min, 3600)
{
	Rounds in;
	pid_t highest = 0;

	SKIP_IF_MISSING(need::pid_min());
	prepare(_metadata, in, variant->workload, variant->in_pod);
	for (pid_t pid : in.subject->processes().pids)
		for (pid_t tid : entries("/proc/" + std::to_string(pid) + "/task"))
			highest = std::max<pid_t>(highest, own_number(tid));
	ASSERT_ERRNO(0, in.pid_min.set(in.pid_min.saved()));
	ASSERT_EQ(0, set_in_pod(in.pod, "pid_min", highest + 1));
	EXPECT_EQ(0, restore_beside_others(_metadata, in, 5));
}

namespace need
{
static const char *recipe()
{
	return getenv("SET_TID_CRIU_DOC") ? nullptr :
					    "needs SET_TID_CRIU_DOC=/path/to/set_tid_criu.rst";
}
static const char *crit()
{
	return system("crit --help >/dev/null 2>&1") ? "needs crit, of CRIU" : nullptr;
}
} // namespace need

/* What set_tid_criu.rst tells those who restore into a pod to do, as it stands there. */
TEST(recipe_word_for_word)
{
	NsChain chain(1);

	SKIP_IF_MISSING(first_missing({ need::recipe, need::pid_min, need::crit }));
	ASSERT_ERRNO(0, chain.error());
	Subject subject("tree", nullptr, &chain.init(1));
	ASSERT_ERRNO(0, subject.error());
	const Processes before = subject.processes();
	const int first = own_number(subject.first());
	setenv("pod", std::to_string(chain.init(1).pid()).c_str(), 1);
	setenv("tree", std::to_string(subject.first()).c_str(), 1);
	setenv("images", subject.images().c_str(), 1);

	const std::vector<std::string> steps = recipe(getenv("SET_TID_CRIU_DOC"));
	ASSERT_EQ(5u, steps.size());
	ASSERT_EQ(0, subject.dump_by([&] { return run_step(steps[0]); }));
	for (size_t i = 1; i < steps.size(); i++) {
		ASSERT_EQ(0, run_step(steps[i]))
		TH_LOG("%s", steps[i].c_str());
	}
	const pid_t again = find_by_nspids(chain.init(1).pid(), { first });
	ASSERT_NE(0, again);
	subject.has_come_back_as(again);
	EXPECT_TEXT(before.text, subject.processes().text);
	/* Nobody else gets a PID among them. */
	Spawned other = chain.run_at(1, [] { return 0; });
	EXPECT_LT(own_number(subject.processes().pids.back()), nspids(other.child)[0]);
}

namespace
{
/* set_tid --enter a process, with these arguments; what it writes, up to the newline. */
std::string set_tid(pid_t enter, const std::string &arguments)
{
	const std::string command =
		"set_tid --enter " + std::to_string(enter) + " " + arguments + " 2>&1";
	FILE *output = popen(command.c_str(), "re");
	char line[256] = {};

	if (!output || !fgets(line, sizeof(line), output))
		strcpy(line, "nothing");
	if (output)
		pclose(output);
	return line;
}
} // namespace

/*
 * A container in a container. CRIU dumps no PID namespace inside of another one. clone3()
 * creates its processes with the PIDs of both levels, the init, {1, N}, from outside.
 */
TEST(container_in_a_container)
{
	NsChain outer(1);

	ASSERT_ERRNO(0, outer.error());
	Subject subject("nested", nullptr, &outer.init(1));
	ASSERT_ERRNO(0, subject.error());
	std::vector<Pids> before;
	for (pid_t pid : subject.processes().pids) {
		Pids pids = nspids("/proc/" + std::to_string(pid) + "/status");

		pids.pop_back();
		before.push_back(pids);
	}
	ASSERT_EQ(4u, before.size());
	if (subject.dump()) {
		const std::string why = first_line_with(subject.log("dump"), "Error");

		EXPECT_NE(why.npos, why.find("nested pid namespace"));
		TH_LOG("CRIU: %s", why.c_str());
	} else {
		TH_LOG("this CRIU dumps it: set_tid_criu.rst says that it does not");
	}
	subject.end();

	/* By the command, which creates the namespace with its init. */
	const pid_t pod = outer.init(1).pid();
	const std::string show = " -- grep NSpid /proc/self/status";
	Spawned command = run_in_child([&] {
		set_tid(pod, "--new-pidns --pid " + to_string(before[1]) + " -- sleep 1000");
		return 0;
	});
	pid_t init = 0;
	ASSERT_TRUE(wait_until([&] { return (init = find_by_nspids(pod, before[1])); }));
	for (const Pids &pids : { before[2], before[3] }) {
		const std::string line = set_tid(init, "--pid " + to_string(pids) + show);
		Pids got = pids_in("\n" + line, "NSpid:");

		ASSERT_EQ(3u, got.size()) TH_LOG("%s", line.c_str());
		got.pop_back();
		EXPECT_PIDS(pids, got);
	}
	kill(init, SIGKILL);
	command.child.wait();

	/* By row 27, into a namespace that is there and has no init yet. */
	const InitlessNs inner(outer);
	ASSERT_ERRNO(0, inner.error());
	const ChildrenIn scope(inner.ns());
	Spawned again = Request{}.pids(before[1]).sleeping();
	ASSERT_ERRNO(0, again.error);
	Pids got = nspids(again.child);
	got.pop_back();
	EXPECT_PIDS(before[1], got);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--workload"))
		return run_workload(argv[2], argv[3]);
	/* The command is beside this program. */
	const std::string self = std::filesystem::read_symlink("/proc/self/exe").parent_path();
	const char *path = getenv("PATH");
	setenv("PATH", (self + ":" + (path ? path : "/usr/sbin:/usr/bin:/sbin:/bin")).c_str(), 1);
	if (const char *missing = first_missing({ need::criu, need::ns_last_pid, need::root }))
		ksft_exit_skip("%s\n", missing);
	return test_harness_run(argc, argv);
}
