// SPDX-License-Identifier: GPL-2.0
/*
 * set_tid_bench - what creating a process costs, with and without set_tid, and
 * what its end costs.
 *
 * Prints a line "case value" for each figure; lines with a # are for people:
 *
 *	CALL/REQUEST/LEVEL	nanoseconds for one call, without the child's
 *				own work. The request: plain, or set_tid with
 *				one PID, or with one for all levels. wait/plain:
 *				for a child that has ended, which frees its PIDs
 *	requested/LEVEL		how many PIDs "all" was
 *	alloc/REQUEST/LEVEL	with --counter: by how much a number that the
 *				kernel counts up went up in one clone3()
 *	restore/METHOD/WHAT	processes that get back the PIDs they had, while
 *				another process forks: ns, calls, wrong (PIDs
 *				other than the wanted one), forks (of the other)
 *	loop/PROCESSES		with --loop: threads a second that so many processes
 *				create and join, each one thread at a time
 *
 * It is no test, and its figures are only as good as the clock: in QEMU with
 * -icount shift=0 guest nanoseconds are instructions. It runs on any kernel.
 */
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/errno.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/stack.hpp"
#include "set_tid_lib/syscall.hpp"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace
{

struct Options {
	std::vector<int> levels = { 0, 1, 4, 16, 32 };
	int rounds = 100;
	int processes = 2000;
	int seed = 1;
	std::vector<int> loop;
	double seconds = 3;
	const char *counter = nullptr;
	bool at_level = false; /* this process is at the only one of levels */
};

[[noreturn]] void die(const std::string &what, int error = 0)
{
	fprintf(stderr, "set_tid_bench: %s%s%s\n", what.c_str(), error ? ": " : "",
		error ? errno_name(error) : "");
	_exit(1);
}

void print(const std::string &name, double value)
{
	printf("%s %.10g\n", name.c_str(), value);
}

/* The mean of the middle half: without the calls that an interrupt hit. */
double middle(std::vector<double> samples)
{
	const size_t quarter = samples.size() / 4;

	std::sort(samples.begin(), samples.end());
	const std::span half(samples.begin() + quarter, samples.end() - quarter);
	return std::accumulate(half.begin(), half.end(), 0.0) / half.size();
}

/* What reading the clock twice costs by itself. */
uint64_t clock_cost()
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		const uint64_t start = now_ns();

		least = std::min(least, now_ns() - start);
	}
	return least;
}

/* A file with a number that the kernel counts up. */
class Counter {
public:
	explicit Counter(const char *path) : file_(path ? open(path, O_RDONLY | O_CLOEXEC) : -1)
	{
		if (path && !file_.valid())
			die(path, errno);
	}
	bool valid() const { return file_.valid(); }
	uint64_t read() const
	{
		char text[32] = {};

		if (!valid() || pread(file_.get(), text, sizeof(text) - 1, 0) < 0)
			return 0;
		return strtoull(text, nullptr, 10);
	}

private:
	Fd file_;
};

/*
 * One level
 */

/*
 * The PIDs that the next process gets, innermost first. A request for these
 * leaves the IDRs as an automatic choice does, so that only the request itself
 * makes a difference. Holds until another process forks.
 */
Pids next_pids()
{
	Spawned probe = Request{}.sleeping();
	Pids pids = nspids(probe.child);

	if (pids.empty())
		die("cannot read PIDs: is /proc mounted?", probe.error);
	for (pid_t &pid : pids)
		pid++;
	return pids;
}

/*
 * The latest children, as zombies: their PIDs are still in use. So the next PID
 * mostly has its place in the IDR already, as on a machine where things run.
 */
class Zombies {
public:
	~Zombies()
	{
		while (!pids_.empty())
			reap();
	}
	/* Waits until the child has ended. */
	void add(pid_t pid)
	{
		siginfo_t info;

		waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
		pids_.push_back(pid);
		if (pids_.size() <= 64)
			return;
		const uint64_t start = now_ns();
		reap();
		const uint64_t end = now_ns();
		reaping_ns_.push_back(end - start);
	}
	/* What it took to reap each of them. */
	const std::vector<double> &reaping_ns() const { return reaping_ns_; }

private:
	void reap()
	{
		waitpid(pids_.front(), nullptr, 0);
		pids_.pop_front();
	}

	std::deque<pid_t> pids_;
	std::vector<double> reaping_ns_;
};

/* A thread of this process that ends at once. */
class ShortThread {
public:
	/* Creates it; there must be no other. Returns its PID or -errno. */
	long create()
	{
		clone_args args = Request{}.thread().args();

		alive_ = 1;
		args.stack = stack_.base();
		args.stack_size = Stack::size;
		args.flags |= CLONE_CHILD_CLEARTID;
		args.child_tid = reinterpret_cast<uintptr_t>(&alive_);
		return sys_clone3_on_stack(
			&args, sizeof(args), [](void *) { return 0; }, nullptr);
	}
	/* Waits until its stack is no longer used. */
	void join()
	{
		while (std::atomic_ref(alive_))
			syscall(__NR_futex, &alive_, FUTEX_WAIT, 1, nullptr, nullptr, 0);
	}

private:
	Stack stack_;
	uint32_t alive_ = 0;
};

class LevelBench {
public:
	LevelBench(int level, const Options &options)
		: level_(level), options_(options), counter_(options.counter),
		  max_request_(largest_request())
	{
	}

	void run()
	{
		for (int i = 0; i < options_.rounds; i++) {
			for (size_t c = 0; c < cases.size(); c++) {
				/* A call finds what one of its kind has left. */
				measure(cases[c]);
				const Sample sample = measure(cases[c]);

				ns_[c].push_back(sample.ns);
				counted_[c].push_back(sample.counted);
			}
			/* What waits for RCU gets its turn. */
			usleep(20000);
		}
		report();
	}

private:
	enum class Call { fork, thread, clone3 };
	enum class Ask { plain, one, all };
	struct Case {
		Call call;
		Ask ask;
		const char *name;
	};
	static constexpr std::array<Case, 5> cases = { {
		{ Call::fork, Ask::plain, "fork/plain" },
		{ Call::thread, Ask::plain, "thread/plain" },
		{ Call::clone3, Ask::plain, "clone3/plain" },
		{ Call::clone3, Ask::one, "clone3/one" },
		{ Call::clone3, Ask::all, "clone3/all" },
	} };
	struct Sample {
		double ns, counted;
	};

	size_t largest_request() const
	{
		const Pids next = next_pids();

		for (size_t size = next.size(); size; size--) {
			const Pids pids(next.begin(), next.begin() + size);

			if (Request{}.pids(pids).attempt() != EINVAL)
				return size;
		}
		die("the kernel takes no set_tid at all");
	}

	size_t request_size(Ask ask) const
	{
		return ask == Ask::plain ? 0 : ask == Ask::one ? 1 : max_request_;
	}

	Sample measure(const Case &what)
	{
		/* Asked for or not: all cases come after the same calls. */
		Pids pids = next_pids();
		Request request;

		pids.resize(request_size(what.ask));
		request.pids(pids);
		const uint64_t counted = counter_.read();
		const long ns = what.call == Call::fork	  ? time_fork() :
				what.call == Call::thread ? time_thread() :
							    time_clone3(request);

		/* Somebody else forked: a kernel thread, at level 0. */
		if (ns == -EEXIST)
			return measure(what);
		if (ns < 0)
			die(what.name, static_cast<int>(-ns));
		return { static_cast<double>(ns) - clock_cost_,
			 static_cast<double>(counter_.read() - counted) };
	}

	/* These return the time, or -errno. */
	long time_fork()
	{
		const uint64_t start = now_ns();
		const pid_t pid = fork();

		if (!pid)
			_exit(0);
		const uint64_t end = now_ns();
		if (pid < 0)
			return -errno;
		zombies_.add(pid);
		return end - start;
	}

	long time_clone3(const Request &request)
	{
		const clone_args args = request.args();
		const uint64_t start = now_ns();
		const long pid = sys_clone3(&args, sizeof(args));

		if (!pid)
			_exit(0);
		const uint64_t end = now_ns();
		if (pid < 0)
			return pid;
		zombies_.add(pid);
		return end - start;
	}

	long time_thread()
	{
		const uint64_t start = now_ns();
		const long tid = thread_.create();
		const uint64_t end = now_ns();

		if (tid < 0)
			return tid;
		thread_.join();
		return end - start;
	}

	void report() const
	{
		const std::string level = "/" + std::to_string(level_);

		if (max_request_ <= static_cast<size_t>(level_))
			printf("# level %d: this kernel takes %zu PIDs, not one for each of the %d levels\n",
			       level_, max_request_, level_ + 1);
		print("requested" + level, max_request_);
		for (size_t c = 0; c < cases.size(); c++) {
			const std::string name = cases[c].name;

			print(name + level, middle(ns_[c]));
			if (counter_.valid() && cases[c].call == Call::clone3)
				print("alloc" + name.substr(name.find('/')) + level,
				      middle(counted_[c]));
		}
		/* None, if there were few rounds. */
		if (!zombies_.reaping_ns().empty())
			print("wait/plain" + level, middle(zombies_.reaping_ns()) - clock_cost_);
	}

	int level_;
	const Options &options_;
	Counter counter_;
	size_t max_request_;
	ShortThread thread_;
	Zombies zombies_;
	uint64_t clock_cost_ = clock_cost();
	std::array<std::vector<double>, cases.size()> ns_, counted_;
};

/*
 * A process that was forked 32 times carries the memory of 32 ancestors, and
 * each later fork pays for it. So a level's figures come from a program that
 * was started anew there.
 */
void run_level(int level, const std::vector<char *> &arguments)
{
	const NsChain chain(level);
	auto body = [&] {
		std::string option = "--at-level=" + std::to_string(level);
		std::vector<char *> argv = arguments;

		/* The same addresses each time: fork() copies what they need. */
		personality(ADDR_NO_RANDOMIZE);
		argv.push_back(option.data());
		argv.push_back(nullptr);
		execv("/proc/self/exe", argv.data());
		return 1;
	};

	if (chain.error())
		die("cannot create PID namespaces", chain.error());
	Spawned bench = level ? chain.run_deepest(body) : run_in_child(body);
	if (bench.error || bench.child.wait().code)
		die("level " + std::to_string(level) + " failed", bench.error);
}

/*
 * Restore
 */

/* Another process that forks, on average once a millisecond. */
class Forker {
public:
	explicit Forker(int seed) : process_(run_in_child([&, seed] { return body(seed); }).child)
	{
	}
	long forks() const { return *forks_; }

private:
	int body(int seed)
	{
		srandom(seed);
		for (;;) {
			usleep(500 + random() % 1000);
			const pid_t pid = fork();
			if (!pid)
				_exit(0);
			waitpid(pid, nullptr, 0);
			++*forks_;
		}
	}

	Shared<std::atomic<long>> forks_;
	Child process_;
};

class Restore {
public:
	explicit Restore(const Options &options)
		: options_(options),
		  last_pid_(open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC))
	{
		if (!last_pid_.valid())
			die("ns_last_pid", errno);
		live_.reserve(options_.processes);
		for (int i = 0; i < options_.processes; i++)
			pids_.push_back(create());
		clear();
	}

	void run()
	{
		measure("set_tid", [&](pid_t pid) { create(pid); });
		measure("last_pid", [&](pid_t pid) {
			set_last_pid(pid - 1);
			wrong_ += create() != pid;
		});
		/* The wrong one has to go, or it is in the way of the next. */
		measure("last_pid_retry", [&](pid_t pid) {
			for (;;) {
				set_last_pid(pid - 1);
				if (create() == pid)
					break;
				wrong_++;
				end_last();
			}
		});
	}

private:
	/*
	 * The process waits for its end. Nothing is allocated here, for each
	 * page that is written to after a fork() costs more than a system call.
	 */
	pid_t create(pid_t wanted = 0)
	{
		clone_args args = {};

		args.exit_signal = SIGCHLD;
		if (wanted) {
			args.set_tid = reinterpret_cast<uintptr_t>(&wanted);
			args.set_tid_size = 1;
		}
		const long pid = sys_clone3(&args, sizeof(args));

		calls_++;
		if (!pid) {
			die_with_parent();
			for (;;)
				pause();
		}
		if (pid < 0)
			die("restore: clone3", static_cast<int>(-pid));
		live_.push_back(pid);
		return pid;
	}

	void set_last_pid(pid_t pid)
	{
		char text[16];
		const int size = snprintf(text, sizeof(text), "%d", pid);

		calls_++;
		if (pwrite(last_pid_.get(), text, size, 0) < 0)
			die("restore: ns_last_pid", errno);
	}

	void end_last()
	{
		kill(live_.back(), SIGKILL);
		waitpid(live_.back(), nullptr, 0);
		live_.pop_back();
		calls_ += 2;
	}

	void clear()
	{
		for (pid_t pid : live_)
			kill(pid, SIGKILL);
		for (pid_t pid : live_)
			waitpid(pid, nullptr, 0);
		live_.clear();
		/* Whoever forks meanwhile has PIDs of its own. */
		set_last_pid(pids_.back() + 1000);
		usleep(100000);
	}

	template <typename Fn> void measure(const std::string &method, Fn restore_one)
	{
		const std::string name = "restore/" + method;

		calls_ = wrong_ = 0;
		{
			const Forker forker(options_.seed);
			usleep(10000);
			const long forks = forker.forks();
			const uint64_t start = now_ns();

			for (pid_t pid : pids_)
				restore_one(pid);
			print(name + "/ns", now_ns() - start);
			print(name + "/forks", forker.forks() - forks);
		}
		print(name + "/calls", calls_);
		print(name + "/wrong", wrong_);
		clear();
	}

	const Options &options_;
	Fd last_pid_;
	Pids pids_, live_;
	long calls_ = 0, wrong_ = 0;
};

/*
 * Threads created and joined
 */

/* What the processes of a loop share. */
struct Loop {
	std::atomic<bool> start, stop;
	std::atomic<long> threads;
};

int create_and_join(Loop &loop)
{
	ShortThread thread;
	long threads = 0;

	while (!loop.start)
		sched_yield();
	while (!loop.stop) {
		if (thread.create() < 0)
			return 1;
		thread.join();
		threads++;
	}
	loop.threads += threads;
	return 0;
}

/* Their results count until the last of them has stopped: none of them has long to go. */
void run_loop(int processes, double seconds)
{
	const Shared<Loop> loop;
	std::vector<Spawned> creators;

	creators.reserve(processes);
	for (int i = 0; i < processes; i++)
		creators.push_back(run_in_child([&] { return create_and_join(*loop); }));
	const uint64_t start = now_ns();
	loop->start = true;
	usleep(seconds * 1e6);
	loop->stop = true;
	for (Spawned &creator : creators) {
		if (creator.error || creator.child.wait().code)
			die("a thread cannot be created");
	}
	print("loop/" + std::to_string(processes), loop->threads * 1e9 / (now_ns() - start));
}

/*
 * The command line
 */

constexpr char usage[] =
	"usage: set_tid_bench [option]...\n"
	"  --levels=N,...   nesting levels to measure (default 0,1,4,16,32; none for none)\n"
	"  --rounds=N       calls of each kind at each level (default 100)\n"
	"  --restore=N      processes to restore, 0 for none (default 2000)\n"
	"  --seed=N         when the other process forks meanwhile (default 1)\n"
	"  --counter=FILE   a number that the kernel counts up, to watch as well\n"
	"  --loop=N,...     processes that create and join threads at the same time\n"
	"  --seconds=N      for how long (default 3)\n";

std::vector<int> numbers(const char *text)
{
	std::vector<int> list;
	char *end;

	do {
		list.push_back(strtol(text, &end, 10));
		text = end + 1;
	} while (*end == ',');
	return list;
}

Options parse(int argc, char **argv)
{
	static const option known[] = { { "levels", required_argument, nullptr, 'l' },
					{ "rounds", required_argument, nullptr, 'r' },
					{ "restore", required_argument, nullptr, 'p' },
					{ "seed", required_argument, nullptr, 's' },
					{ "counter", required_argument, nullptr, 'c' },
					{ "loop", required_argument, nullptr, 'L' },
					{ "seconds", required_argument, nullptr, 't' },
					{ "at-level", required_argument, nullptr, 'a' },
					{} };
	Options options;

	for (int c; (c = getopt_long(argc, argv, "", known, nullptr)) >= 0;) {
		switch (c) {
		case 'l':
			options.levels = strcmp(optarg, "none") ? numbers(optarg) :
								  std::vector<int>{};
			break;
		case 'r':
			options.rounds = std::max(4, atoi(optarg));
			break;
		case 'p':
			options.processes = atoi(optarg);
			break;
		case 's':
			options.seed = atoi(optarg);
			break;
		case 'c':
			options.counter = optarg;
			break;
		case 'L':
			options.loop = numbers(optarg);
			break;
		case 't':
			options.seconds = atof(optarg);
			break;
		case 'a':
			options.levels = { atoi(optarg) };
			options.at_level = true;
			break;
		default:
			fputs(usage, stderr);
			_exit(2);
		}
	}
	return options;
}

/*
 * As the only one with real-time priority the caller is not interrupted by its
 * child, which has the same: the child starts when the caller waits for it.
 */
void go_first()
{
	sched_param param = {};

	param.sched_priority = 1;
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("needs the right to real-time priority", errno);
}

} // namespace

int main(int argc, char **argv)
{
	const Options options = parse(argc, argv);

	setvbuf(stdout, nullptr, _IOLBF, 0);
	if (const char *missing = need::root())
		die(missing);

	if (options.at_level) {
		go_first();
		LevelBench(options.levels[0], options).run();
		return 0;
	}
	for (int level : options.levels)
		run_level(level, { argv, argv + argc });
	if (options.processes)
		Restore(options).run();
	for (int processes : options.loop)
		run_loop(processes, options.seconds);
	return 0;
}
