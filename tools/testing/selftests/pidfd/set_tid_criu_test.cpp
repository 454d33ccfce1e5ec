// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU restores what it has dumped, with every PID, TID, process group, session
 * and parent as it was.
 *
 * What is dumped is this program again, as one of the workloads below. Before and
 * after, the processes are compared by what /proc shows of them. CRIU's log and a
 * watch on ns_last_pid show that clone3() with set_tid chose the PIDs.
 *
 * SET_TID_CRIU_ROUNDS: how often each of the last two tests dumps and restores
 * its processes.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
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
#include "set_tid_lib/criu/workload.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace
{
constexpr char criu[] = "/usr/sbin/criu";

/*
 * What /proc shows
 */

/* The value of a line of /proc/PID/status, without the blanks around it. */
std::string field(const std::string &status, const std::string &key)
{
	const size_t at = status.find("\n" + key + ":");

	if (at == status.npos)
		return "";
	const size_t begin = status.find_first_not_of(" \t", at + key.size() + 2);
	return status.substr(begin, status.find('\n', begin) - begin);
}

Pids entries(const std::string &dir)
{
	Pids pids;

	numbers_in(dir, pids);
	std::sort(pids.begin(), pids.end());
	return pids;
}

/* The last PID of such a line: that in the process's own namespace. */
std::string innermost(const std::string &pids)
{
	return pids.substr(pids.rfind('\t') + 1);
}

int own_number(pid_t pid)
{
	return atoi(innermost(field(read_file("/proc/" + std::to_string(pid) + "/status"), "NSpid"))
			    .c_str());
}

/*
 * The processes from a first one on, and a line of text for each of their
 * threads. PIDs are those in the processes' own namespace, as CRIU has it.
 */
struct Processes {
	std::vector<pid_t> pids; /* in the caller's namespace */
	size_t threads = 0;
	std::string text;

	explicit Processes(pid_t first) { add(first, "outside"); }

	void add(pid_t pid, const std::string &parent)
	{
		const std::string proc = "/proc/" + std::to_string(pid) + "/task/";
		/* In the order of their own PIDs: CRIU makes them in another one. */
		std::map<int, pid_t> children;
		std::string own_pid;

		pids.push_back(pid);
		for (pid_t tid : entries(proc)) {
			const std::string dir = proc + std::to_string(tid);
			const std::string status = read_file(dir + "/status");
			std::istringstream list(read_file(dir + "/children"));

			threads += tid != pid;
			text += tid == pid ? "process" : "  thread";
			for (const char *key : { "NSpid", "NSpgid", "NSsid" })
				text += " " + std::string(key) + " " +
					innermost(field(status, key));
			text += (field(status, "State")[0] == 'Z' ? " zombie" : " alive");
			text += " parent " + parent + "\n";
			if (tid == pid)
				own_pid = innermost(field(status, "NSpid"));
			for (pid_t child; list >> child;)
				children[own_number(child)] = child;
		}
		for (auto [number, child] : children)
			add(child, own_pid);
	}
};

/*
 * CRIU
 */

/* Runs it; its log goes to images/log. Returns its status, or -1 if it was killed. */
int run_criu(const std::string &images, std::vector<std::string> args, const Fd *terminal)
{
	Spawned c = run_in_child([&] {
		const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
		std::vector<char *> argv = { const_cast<char *>(criu) };
		const std::string log = args[0] + ".log";

		args.insert(args.end(), { "-v4", "-D", images, "-o", log });
		for (std::string &arg : args)
			argv.push_back(arg.data());
		argv.push_back(nullptr);
		dup2((terminal ? *terminal : null).get(), 0);
		dup2(null.get(), 1);
		dup2(null.get(), 2);
		execv(criu, argv.data());
		return 127;
	});
	return c.error ? -1 : c.child.wait().code;
}

/* The lines of a log with a text in them, without the time that each starts with. */
std::vector<std::string> lines_with(const std::string &log, const std::string &text)
{
	std::ifstream file(log);
	std::vector<std::string> lines;

	for (std::string line; std::getline(file, line);)
		if (line.find(text) != line.npos)
			lines.push_back(line.substr(std::min(line.size(), line.find(") ") + 2)));
	return lines;
}

std::string first_line_with(const std::string &log, const std::string &text)
{
	const std::vector<std::string> lines = lines_with(log, text);

	return lines.empty() ? "nothing about it" : lines[0];
}

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

/*
 * A workload, from its start to the end of the last of its processes. Without a
 * terminal it has a session of its own.
 */
class Subject {
public:
	explicit Subject(const std::string &name, const Fd *terminal = nullptr)
		: terminal_(terminal)
	{
		char dir[] = "/tmp/set_tid_criu.XXXXXX";
		auto become = [&] {
			prctl(PR_SET_PDEATHSIG, 0);
			return exec_workload(name);
		};

		/* What loses its parent becomes a child of the test. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		dir_ = mkdtemp(dir) ? dir : "";
		Spawned c = Request{}.flags(workloads.at(name).flags).spawn(become);
		error_ = c.error;
		first_ = c.child.pid();
		while (!error_ && access(ready().c_str(), F_OK))
			error_ = exits_within(c.child, 10) ? ECHILD : 0;
		/* It is dumped by its PID, and another one comes back. */
		c.child.release();
	}
	Subject(const Subject &) = delete;
	~Subject()
	{
		std::error_code error;

		end();
		std::filesystem::remove_all(dir_, error);
	}

	int error() const { return error_; }
	pid_t first() const { return first_; }
	std::string log(const std::string &action) const { return dir_ + "/" + action + ".log"; }
	Processes processes() const { return Processes(first_); }

	/* Each returns CRIU's status. After a dump all processes are gone. */
	int dump()
	{
		const std::vector<Fd> all = open_all();

		dumped_ = processes().pids;
		const int status = run("dump", { "-t", std::to_string(first_) });

		if (!status)
			reap(all);
		return status;
	}
	int restore()
	{
		const std::string pidfile = dir_ + "/pid";

		/* CRIU does not overwrite it. */
		unlink(pidfile.c_str());
		const int status = run("restore", { "-d", "--pidfile", pidfile });
		if (status)
			await_end_of_remains();
		else
			first_ = read_number(pidfile);
		return status;
	}

	/* Kills all processes. */
	void end()
	{
		const std::vector<Fd> all = open_all();

		for (const Fd &pidfd : all)
			syscall(__NR_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
		reap(all);
	}

private:
	std::string ready() const { return dir_ + "/ready"; }

	int exec_workload(const std::string &name) const
	{
		if (terminal_)
			setpgid(0, 0);
		else
			setsid();
		const Fd input(open("/dev/null", O_RDWR));
		for (int fd : { 0, 1, 2 })
			dup2((terminal_ ? *terminal_ : input).get(), fd);
		syscall(__NR_close_range, 3U, ~0U, 0);
		execl("/proc/self/exe", "workload", "--workload", name.c_str(), ready().c_str(),
		      nullptr);
		return 127;
	}
	int run(const std::string &action, std::vector<std::string> args) const
	{
		args.insert(args.begin(), action);
		if (terminal_)
			args.push_back("--shell-job");
		return run_criu(dir_, args, terminal_);
	}
	std::vector<Fd> open_all() const
	{
		std::vector<Fd> all;

		for (pid_t pid : first_ > 0 ? Processes(first_).pids : Pids{})
			all.emplace_back(syscall(__NR_pidfd_open, pid, 0));
		return all;
	}
	/* Whoever has lost its parent is a child of the test. */
	static void reap(const std::vector<Fd> &all)
	{
		for (const Fd &pidfd : all) {
			struct pollfd exit = { pidfd.get(), POLLIN, 0 };

			poll(&exit, 1, pidfd.valid() ? -1 : 0);
		}
		reap();
	}
	static void reap()
	{
		while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0)
			;
	}
	/* What a restore that failed had made so far is killed, but not at once. */
	void await_end_of_remains() const
	{
		for (pid_t pid : dumped_) {
			const std::string comm = "/proc/" + std::to_string(pid) + "/comm";

			for (std::string name = read_file(comm);
			     name == "criu\n" || name == "workload\n"; name = read_file(comm)) {
				reap();
				usleep(1000);
			}
		}
	}

	const Fd *terminal_;
	std::string dir_;
	int error_ = 0;
	pid_t first_ = 0;
	std::vector<pid_t> dumped_;
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
};

FIXTURE_VARIANT_ADD(criu, tree){ "tree" };
FIXTURE_VARIANT_ADD(criu, threads){ "threads" };
FIXTURE_VARIANT_ADD(criu, zombies){ "zombies" };
FIXTURE_VARIANT_ADD(criu, session_without_leader){ "session_without_leader" };
FIXTURE_VARIANT_ADD(criu, pid_namespace){ "pid_namespace" };
FIXTURE_VARIANT_ADD(criu, many){ "many" };
FIXTURE_VARIANT_ADD(criu, shell_job){ "shell_job" };

FIXTURE_SETUP(criu)
{
}

FIXTURE_TEARDOWN(criu)
{
}

/* The body of the test below, in a process that may have a terminal. */
void expect_to_come_back(struct __test_metadata *_metadata, const std::string &name,
			 const Fd *terminal)
{
	Subject subject(name, terminal);
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

	if (name == "shell_job")
		EXPECT_CHECKS_PASS(run_in_child(as_shell));
	else
		expect_to_come_back(_metadata, name, nullptr);
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

FIXTURE(rounds){};

FIXTURE_SETUP(rounds)
{
}

FIXTURE_TEARDOWN(rounds)
{
}

namespace
{
int rounds()
{
	const char *set = getenv("SET_TID_CRIU_ROUNDS");

	return set ? atoi(set) : 3;
}

int fork_all_the_time()
{
	for (;;) {
		const pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, nullptr, 0);
	}
}

/*
 * Dumps and restores while two others fork all the time. Returns how often a restore
 * found a PID in use; it is tried again then.
 */
int restore_beside_others(struct __test_metadata *_metadata, Subject &subject)
{
	const Processes before = subject.processes();
	Spawned others[] = { run_in_child(fork_all_the_time), run_in_child(fork_all_the_time) };
	int in_use = 0;

	ASSERT_ERRNO(0, others[0].error);
	ASSERT_ERRNO(0, others[1].error);
	for (int round = 0; round < rounds(); round++) {
		ASSERT_EQ(0, subject.dump())
		TH_LOG("%s", first_line_with(subject.log("dump"), "Error").c_str());
		while (subject.restore()) {
			const std::string why =
				first_line_with(subject.log("restore"), "Can't fork for");

			ASSERT_NE(why.npos, why.find("File exists"))
			TH_LOG("%s", first_line_with(subject.log("restore"), "Error").c_str());
			TH_LOG("round %d: %s", round, why.c_str());
			in_use++;
		}
		ASSERT_TEXT(before.text, subject.processes().text);
	}
	return in_use;
}
} // namespace

/* Each PID is in use again every few seconds. */
TEST_F_TIMEOUT(rounds, come_back_each_time, 3600)
{
	Sysctl limit("kernel/pid_max");

	ASSERT_ERRNO(0, limit.set(2048));
	Subject subject("tree");
	ASSERT_ERRNO(0, subject.error());
	const int in_use = restore_beside_others(_metadata, subject);
	TH_LOG("%d rounds; a PID was in use %d times", rounds(), in_use);
}

/*
 * Row 28: with kernel.pid_min above the highest PID of the image nobody else gets one of
 * them. Without it the same restores fail now and then.
 */
TEST_F_TIMEOUT(rounds, floor_keeps_the_pids_free, 7200)
{
	Sysctl limit("kernel/pid_max"), floor("kernel/pid_min");
	/* Others have the numbers in between, where they wrap around. */
	constexpr pid_t lowest = 320, max = 1024;

	SKIP_IF_MISSING(need::pid_min());
	ASSERT_ERRNO(0, limit.set(max));
	ASSERT_ERRNO(0, set_last_pid(lowest));
	Subject subject("forty");
	ASSERT_ERRNO(0, subject.error());
	const Pids pids = subject.processes().pids;
	const pid_t highest = *std::max_element(pids.begin(), pids.end());
	ASSERT_GT(max - 300, highest);

	const int without = restore_beside_others(_metadata, subject);
	ASSERT_ERRNO(0, floor.set(highest + 1));
	const int with = restore_beside_others(_metadata, subject);
	TH_LOG("%d rounds; a PID was in use %d times without pid_min, %d times with it", rounds(),
	       without, with);
	EXPECT_EQ(0, with);
	/* Or else it would show nothing. */
	if (rounds() >= 100)
		EXPECT_LE(5, without);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--workload"))
		return run_workload(argv[2], argv[3]);
	if (const char *missing = first_missing({ need::criu, need::ns_last_pid, need::root }))
		ksft_exit_skip("%s\n", missing);
	return test_harness_run(argc, argv);
}
