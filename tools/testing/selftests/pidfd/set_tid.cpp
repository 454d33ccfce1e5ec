// SPDX-License-Identifier: GPL-2.0
/*
 * set_tid: runs a command with chosen PIDs, by clone3() with set_tid.
 *
 * The tool stays in its own namespaces. A helper that it sends to the right
 * namespace and user makes the call, and hands the command over as a child of
 * the tool's (CLONE_PARENT).
 */
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/clock.hpp"
#include "set_tid_lib/errno.hpp"
#include "set_tid_lib/fd.hpp"
#include "set_tid_lib/file.hpp"
#include "set_tid_lib/pidns.hpp"
#include "set_tid_lib/pids.hpp"
#include "set_tid_lib/proc.hpp"
#include "set_tid_lib/process.hpp"
#include "set_tid_lib/request.hpp"
#include "set_tid_lib/requirement.hpp"
#include "set_tid_lib/shared.hpp"
#include "set_tid_lib/spawn.hpp"
#include "set_tid_lib/syscall.hpp"
#include "set_tid_lib/trace.hpp"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/* As env(1) has them. */
enum {
	exit_refused = 125,
	exit_cannot_run = 126,
	exit_not_found = 127,
};

static const char usage[] =
	"Usage: set_tid [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"Run COMMAND with chosen PIDs.\n"
	"\n"
	"  -p, --pid PID[,PID]...   the PIDs, innermost namespace first; levels further\n"
	"                           out get whatever is free\n"
	"  -n, --new-pidns[=N]      create N (1) PID namespaces, each inside the other,\n"
	"                           and run COMMAND as the first process of the last\n"
	"  -e, --enter PID          start from the PID namespace of process PID\n"
	"  -u, --user UID           become this user, without capabilities, before asking\n"
	"  -x, --explain            if the request is refused, tell what the kernel says of\n"
	"                           it: level, namespace, who has the PID (takes tracefs)\n"
	"  -r, --report             tell what was requested, what came of it, and how long\n"
	"                           it took\n"
	"  -h, --help               show this text\n"
	"\n"
	"Level 0 is the PID namespace that /proc belongs to, a new namespace is one level\n"
	"further in. Choosing PIDs takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the\n"
	"user namespaces that own the levels.\n"
	"\n"
	"The exit status is that of COMMAND, 128+N if signal N killed it, 125 if the\n"
	"request was refused, 126 if COMMAND cannot be run, 127 if it was not found.\n"
	"\n"
	"Two namespaces below this one, and a process that is 1, 42 and 31496 in them:\n"
	"  set_tid --pid 1,42,31496 --new-pidns=2 --report -- sleep 1\n";

/* Why the command is not run, in one line. */
struct Failure {
	std::string text;
};

/* By exception, so that children and namespaces are gone when the tool is. */
[[noreturn, gnu::format(printf, 1, 2)]] static void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	throw Failure{ text };
}

/*
 * The command line
 */

struct Options {
	Pids pids;
	int new_namespaces = 0;
	std::optional<pid_t> enter;
	std::optional<uid_t> user;
	bool report = false;
	bool explain = false;
	char **command = nullptr;
};

template <typename Number>
static Number parse_number(const char *option, std::string_view text, Number lowest, Number highest)
{
	const char *end = text.data() + text.size();
	const std::string shown(text);
	Number number = 0;
	const auto result = std::from_chars(text.data(), end, number);

	if (text.empty() || result.ec == std::errc::invalid_argument || result.ptr != end)
		fail("%s: \"%s\" is not a number", option, shown.c_str());
	if (result.ec != std::errc() || number < lowest || number > highest)
		fail("%s: %s is not between %s and %s", option, shown.c_str(),
		     std::to_string(lowest).c_str(), std::to_string(highest).c_str());
	return number;
}

/* The kernel is the judge of the numbers: any that fits a pid_t goes. */
static Pids parse_pids(std::string_view text)
{
	Pids pids;

	for (;;) {
		const size_t comma = text.find(',');

		pids.push_back(
			parse_number<pid_t>("--pid", text.substr(0, comma), INT32_MIN, INT32_MAX));
		if (comma == text.npos)
			return pids;
		text.remove_prefix(comma + 1);
	}
}

static Options parse_options(int argc, char **argv)
{
	static const option options[] = {
		{ "pid", required_argument, nullptr, 'p' },
		{ "new-pidns", optional_argument, nullptr, 'n' },
		{ "enter", required_argument, nullptr, 'e' },
		{ "user", required_argument, nullptr, 'u' },
		{ "report", no_argument, nullptr, 'r' },
		{ "explain", no_argument, nullptr, 'x' },
		{ "help", no_argument, nullptr, 'h' },
		{},
	};
	Options parsed;
	int c;

	while ((c = getopt_long(argc, argv, "+p:n::e:u:xrh", options, nullptr)) != -1) {
		switch (c) {
		case 'p':
			if (!parsed.pids.empty())
				fail("--pid is given twice");
			parsed.pids = parse_pids(optarg);
			break;
		case 'n':
			parsed.new_namespaces = optarg ? parse_number<int>("--new-pidns", optarg, 1,
									   max_pid_ns_level) :
							 1;
			break;
		case 'e':
			parsed.enter = parse_number<pid_t>("--enter", optarg, 1, INT32_MAX);
			break;
		case 'u':
			/* The highest number stands for "no user". */
			parsed.user = parse_number<uid_t>("--user", optarg, 0, UINT32_MAX - 1);
			break;
		case 'x':
			parsed.explain = true;
			break;
		case 'r':
			parsed.report = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			/* getopt_long() has said what is wrong. */
			fputs("Try \"set_tid --help\".\n", stderr);
			exit(exit_refused);
		}
	}
	if (optind == argc)
		fail("no command given; try \"set_tid --help\"");
	parsed.command = argv + optind;
	return parsed;
}

/*
 * What processes tell each other
 */

/* Closed at first; once open, it lets everybody pass. */
class Gate {
public:
	void wait() const
	{
		while (!*state_)
			futex(FUTEX_WAIT, 0);
	}
	void open() const
	{
		*state_ = 1;
		futex(FUTEX_WAKE, INT32_MAX);
	}

private:
	void futex(int op, int value) const
	{
		syscall(__NR_futex, &*state_, op, value, nullptr, nullptr, 0);
	}

	Shared<std::atomic<int>> state_;
};

/* What the helper found out. */
struct Outcome {
	int error = 0; /* of clone3() */
	int user_error = 0; /* of becoming the user */
	int pidfd = -1;
	uint64_t call_ns = 0;
	/* How many PIDs, innermost first, it takes to get that error, or -1. */
	int culprits = -1;
};

/*
 * Refusals in words
 */

static bool has_seccomp_filter()
{
	return read_file("/proc/self/status").find("\nSeccomp:\t2\n") != std::string::npos;
}

/* How clone3() fails for reasons that have nothing to do with what is asked of it. */
static std::string why_no_process(int error)
{
	const bool filtered = has_seccomp_filter();

	switch (error) {
	case ENOSYS:
		return filtered ? "this kernel has no clone3(), or a seccomp filter hides it, as "
				  "those of container runtimes do" :
				  "this kernel has no clone3()";
	case EPERM:
		return filtered ? "clone3() is forbidden here, perhaps by a seccomp filter" :
				  "clone3() is forbidden here";
	case EAGAIN:
		return "no more processes: a limit is reached or PIDs have run out";
	}
	return "clone3() failed";
}

class Refusal {
public:
	Refusal(const Options &options, int target_level, const Outcome &outcome)
		: options_(options), target_level_(target_level), outcome_(outcome)
	{
	}

	std::string text() const { return words() + " (" + errno_name(outcome_.error) + ")"; }

private:
	std::string words() const
	{
		if (outcome_.error == E2BIG)
			return "this kernel's clone3() does not know set_tid";
		if (outcome_.culprits == 0)
			return not_about_pids();
		if (outcome_.culprits < 0)
			return "clone3() failed, but the same requests succeeded "
			       "afterwards: try again";
		return about_pid();
	}

	/* The call fails without any chosen PID just the same. */
	std::string not_about_pids() const
	{
		const bool new_ns = options_.new_namespaces;

		switch (outcome_.error) {
		case EPERM:
			if (new_ns)
				return "a new PID namespace needs CAP_SYS_ADMIN";
			break;
		case ENOSPC:
			return "no more PID namespaces: 32 levels or "
			       "user.max_pid_namespaces are reached";
		case ENOMEM:
			return "out of memory, or a level has lost its init";
		case EINVAL:
			if (new_ns)
				return "this kernel has no PID namespaces";
		}
		return why_no_process(outcome_.error);
	}

	std::string about_pid() const
	{
		const int index = outcome_.culprits - 1;
		const int at = target_level_ - index;
		const std::string pid = std::to_string(options_.pids[index]);

		switch (outcome_.error) {
		case EEXIST:
			return level(at) + ": PID " + pid + " is in use";
		case EPERM:
			return level(at) + ": needs CAP_SYS_ADMIN or "
					   "CAP_CHECKPOINT_RESTORE in the user "
					   "namespace that owns it";
		case EINVAL:
			return about_invalid_pid(index);
		}
		return level(at) + ": PID " + pid + " is refused";
	}

	std::string about_invalid_pid(int index) const
	{
		const int at = target_level_ - index;
		const std::string count = std::to_string(options_.pids.size());
		const std::string pid = std::to_string(options_.pids[index]);
		const long limit = pid_max();

		if (at < 0)
			return count + " PIDs requested, but the target namespace is at " +
			       level(target_level_) + ": at most " +
			       std::to_string(target_level_ + 1);
		if (options_.pids[index] < 1)
			return level(at) + ": PID " + pid + " is not positive";
		if (options_.pids[index] >= limit)
			return level(at) + ": PID " + pid + " is not below pid_max, " +
			       std::to_string(limit);
		if (!index && options_.new_namespaces && options_.pids[0] != 1)
			return level(at) +
			       ": first process of a PID namespace must be PID 1, not " + pid;
		if (index >= max_pid_ns_level)
			return count + " PIDs requested, but this kernel takes only " +
			       std::to_string(index) + " at a time";
		return level(at) + ": PID " + pid + " is invalid";
	}

	static std::string level(int number) { return "level " + std::to_string(number); }

	const Options &options_;
	int target_level_;
	const Outcome &outcome_;
};

/*
 * The namespaces
 */

/* Whether a process of the tool's own has a PID that the command shall have. */
static bool is_in_the_way(const Child &child, const Pids &wanted, int target_level)
{
	const Pids pids = nspids(child);
	const int level = static_cast<int>(pids.size()) - 1;

	for (size_t i = 0; i < wanted.size(); i++) {
		const int at = target_level - static_cast<int>(i);

		if (at >= 0 && at <= level && pids[level - at] == wanted[i])
			return true;
	}
	return false;
}

static std::string why_no_namespace(int error, int level)
{
	const std::string name = "level " + std::to_string(level);

	switch (error) {
	case EPERM:
		return name + ": a new PID namespace needs CAP_SYS_ADMIN (EPERM)";
	case ENOSPC:
		return name + ": no more PID namespaces: 32 levels or "
			      "user.max_pid_namespaces are reached (ENOSPC)";
	case ENOMEM:
		return name + ": out of memory, or the init of the level above is gone "
			      "(ENOMEM)";
	case EINVAL:
		return name + ": this kernel has no PID namespaces, or the caller's children "
			      "are created in another one than its own (EINVAL)";
	case ENOSYS:
		return name + ": " + why_no_process(error) + " (ENOSYS)";
	}
	return name + ": cannot create a PID namespace (" + errno_name(error) + ")";
}

/*
 * All levels but the last, which comes with the command. The inits take a PID
 * in each level above them; one that takes a requested PID is replaced, and
 * kept until there is another, so that this does not get the same.
 */
static void add_namespaces(NsChain &chain, const Options &options, int top_level, int target_level)
{
	while (chain.depth() < options.new_namespaces - 1) {
		std::vector<Child> in_the_way;

		for (;;) {
			const int error = chain.add();

			if (error) {
				const int level = top_level + chain.depth() + 1;

				fail("%s", why_no_namespace(error, level).c_str());
			}
			if (!is_in_the_way(chain.init(chain.depth()), options.pids, target_level))
				break;
			in_the_way.push_back(chain.pop());
		}
	}
}

static Fd open_namespace_of(pid_t pid)
{
	Fd pidfd(syscall(__NR_pidfd_open, pid, 0));

	if (!pidfd.valid())
		fail("--enter %d: %s (%s)", pid,
		     errno == ESRCH			? "there is no such process" :
		     errno == EINVAL || errno == ENOENT ? "this is a thread, not a process" :
							  "cannot open the process",
		     errno_name(errno));
	return pidfd;
}

/*
 * The command
 */

[[noreturn]] static void exec_command(char **command, const sigset_t &mask)
{
	sigprocmask(SIG_SETMASK, &mask, nullptr);
	execvp(command[0], command);
	const int error = errno;
	fprintf(stderr, "set_tid: %s: %s\n", command[0], strerror(error));
	_exit(error == ENOENT ? exit_not_found : exit_cannot_run);
}

/*
 * The kernel says what is wrong, but not with which PID. It judges the levels
 * from the innermost outwards, first all for being valid and permitted, then
 * all for being free. So the shortest part of the list that fails in the same
 * way ends with the PID that is to blame: one before it would have made a
 * shorter part fail, and one behind it is not in that part. Parts that succeed
 * cost a child that is gone at once.
 */
static int count_to_culprit(const Request &request, const Pids &pids, int error)
{
	for (size_t count = 0; count <= pids.size(); count++) {
		Request part = request;

		part.pids(Pids(pids.begin(), pids.begin() + count));
		if (part.attempt() == error)
			return count;
	}
	return -1;
}

/* Late or early: the tool may have been killed before this is called. */
static void die_with_tool(const Fd &tool)
{
	pollfd gone = {};

	die_with_parent();
	gone.fd = tool.get();
	gone.events = POLLIN;
	if (poll(&gone, 1, 0) > 0)
		_exit(exit_refused);
}

/* The helper's part, in the namespace that the command is created from. */
static int create_command(const Options &options, const Fd &tool, const Gate &gate,
			  const sigset_t &mask, Outcome &outcome)
{
	Request request;

	if (options.user && (outcome.user_error = become_user(*options.user)))
		return 1;
	/* Becoming somebody else has undone this. */
	die_with_tool(tool);
	if (options.new_namespaces)
		request.flags(CLONE_NEWPID);
	request.size(CLONE_ARGS_SIZE_VER1);

	Request handed_over = request;
	handed_over.pids(options.pids).flags(CLONE_PIDFD).sibling();
	handed_over.raw().pidfd = reinterpret_cast<uintptr_t>(&outcome.pidfd);
	const clone_args args = handed_over.args();

	const uint64_t start = now_ns();
	const long pid = sys_clone3(&args, CLONE_ARGS_SIZE_VER1);
	if (!pid) {
		die_with_tool(tool);
		gate.wait();
		exec_command(options.command, mask);
	}
	outcome.call_ns = now_ns() - start;

	if (pid < 0) {
		outcome.error = -pid;
		outcome.culprits = count_to_culprit(request, options.pids, outcome.error);
	}
	return 0;
}

/*
 * Sends helpers to the namespace until one of them does not take a PID that is
 * requested, and has that one create the command. Returns its PID, as this
 * process sees it.
 */
static pid_t run_helper(const NsChain &chain, const Options &options, int target_level,
			const Gate &gate, const sigset_t &mask,
			const std::optional<RefusalTrace> &trace, Outcome &outcome)
{
	std::optional<ChildrenIn> scope;
	std::vector<Child> in_the_way;
	const Fd tool = own_pidfd();

	if (chain.deepest().valid()) {
		scope.emplace(chain.deepest());
		if (int error = scope->error())
			fail("cannot enter the PID namespace%s (%s)",
			     error == EPERM  ? ": needs CAP_SYS_ADMIN" :
			     error == ESRCH  ? ": the process has ended" :
			     error == EINVAL ? ": this kernel has none" :
					       "",
			     errno_name(error));
	}
	for (;;) {
		const Gate go;
		Spawned helper = Request{}.flags(CLONE_FILES).spawn([&] {
			die_with_tool(tool);
			go.wait();
			return create_command(options, tool, gate, mask, outcome);
		});

		if (helper.error)
			fail("cannot create a process: %s (%s)",
			     helper.error == ENOMEM ?
				     "out of memory, or the init of its PID namespace is gone" :
				     why_no_process(helper.error).c_str(),
			     errno_name(helper.error));
		if (is_in_the_way(helper.child, options.pids, target_level)) {
			in_the_way.push_back(std::move(helper.child));
			continue;
		}
		/* They have been kept so that this one does not get their PIDs. */
		in_the_way.clear();
		const pid_t caller = helper.child.pid();
		if (trace)
			trace->only(caller);
		go.open();
		const ExitStatus status = helper.child.wait();
		if (status.signal)
			fail("the helper was killed by signal %d%s", status.signal,
			     status.signal == SIGKILL ?
				     ", as all are in a PID namespace that loses its init" :
				     "");
		return caller;
	}
}

static void report(const Options &options, const Pids &got, int namespaces, uint64_t namespaces_ns,
		   const Outcome &outcome, uint64_t read_ns)
{
	auto line = [](const std::string &what, uint64_t ns) {
		printf("%-34s %8.1f us\n", what.c_str(), ns / 1000.0);
	};

	printf("level  requested  got\n");
	for (size_t i = got.size(); i-- > 0;) {
		const std::string requested =
			i < options.pids.size() ? std::to_string(options.pids[i]) : "auto";

		printf("%5zu  %9s  %d\n", got.size() - 1 - i, requested.c_str(), got[i]);
	}
	if (namespaces)
		line("preparing " + std::to_string(namespaces) + " PID namespace" +
			     (namespaces > 1 ? "s" : ""),
		     namespaces_ns);
	line(options.new_namespaces ? "clone3(), with a new PID namespace" : "clone3()",
	     outcome.call_ns);
	line("reading the PIDs back from /proc", read_ns);
	fflush(stdout);
}

/*
 * Signals
 */

static sigset_t forwarded_signals()
{
	sigset_t set;

	sigemptyset(&set);
	for (int signal : { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 })
		sigaddset(&set, signal);
	return set;
}

/* Whether a process handles, ignores or has blocked a signal. */
static bool has_a_mind_of_its_own(pid_t pid, int signal)
{
	const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");

	for (const char *key : { "\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t" }) {
		const size_t at = status.find(key);

		if (at == status.npos)
			return true;
		if (strtoull(&status[at + strlen(key)], nullptr, 16) >> (signal - 1) & 1)
			return true;
	}
	return false;
}

static void forward(const signalfd_siginfo &info, const Child &command, bool is_init)
{
	const int signal = info.ssi_signo;

	/* What the terminal sends, it sends to the command as well. */
	if (info.ssi_code != SI_KERNEL)
		command.kill(signal);
	/*
	 * These signals end a process that does not care about them, but not
	 * the first process of a PID namespace. It ends here all the same.
	 */
	if (is_init && !has_a_mind_of_its_own(command.pid(), signal))
		command.kill(SIGKILL);
}

static int wait_for_command(Child &command, const Fd &signals, bool is_init)
{
	pollfd fds[2] = {};

	fds[0].fd = signals.get();
	fds[1].fd = command.pidfd().get();
	fds[0].events = fds[1].events = POLLIN;
	while (!fds[1].revents) {
		signalfd_siginfo info;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents && read(signals.get(), &info, sizeof(info)) > 0)
			forward(info, command, is_init);
	}

	const ExitStatus status = command.wait();

	if (status.error)
		fail("cannot wait for the command (%s)", errno_name(status.error));
	return status.signal ? 128 + status.signal : status.code;
}

/*
 * What --explain adds
 */

/*
 * Names are shown as the kernel escapes them: any process can choose one, and this
 * often goes to the terminal of root.
 */
static std::string holder_in_words(const Refused &told)
{
	const std::string holder = told.text("holder"), pid = told.text("holder_pid");
	const std::string comm = told.holder_comm();
	const std::string who = pid + (comm.empty() ? ", whose name is empty" : " (" + comm + ")");

	if (holder == "none")
		return "nobody has it any more, or its process is only being made";
	if (holder == "thread")
		return "held by thread " + who + " of process " + told.text("holder_tgid");
	if (holder == "zombie")
		return "held by zombie " + who + ", until its parent waits for it";
	if (holder == "exited-leader")
		return "held by process " + who +
		       ", of which the first thread has exited, not the others: to kill its "
		       "parent, or to wait for it, does not free the PID";
	if (holder == "group" || holder == "session")
		return "only a process " + holder + " has it: process " + who + " is in it";
	return "held by " + holder + " " + who;
}

static std::string reason_in_words(const Refused &told)
{
	static constexpr std::pair<const char *, const char *> words[] = {
		{ "too-many-pids", "one more than there are levels" },
		{ "out-of-range", "not between 1 and pid_max - 1" },
		{ "no-init-yet", "as long as the namespace has no init, 1 is its only PID" },
		{ "no-capability",
		  "the caller has no capability in the user namespace that owns it" },
		{ "lost-init",
		  "the namespace has lost its init, nothing is created there any more" },
		{ "none-free", "none is left" },
		{ "no-memory", "the kernel has no memory for it" },
	};
	std::string reason = told.text("reason");

	if (reason == "in-use")
		return holder_in_words(told);
	for (const auto &[name, meaning] : words)
		if (reason == name)
			return meaning;
	return reason;
}

/*
 * What the kernel has said of the first request that it refused: those after it
 * were to find the PID to blame.
 */
static std::string explanation(RefusalTrace &trace, pid_t caller)
{
	const std::vector<Refused> all = trace.take(caller);

	if (all.empty())
		return "the kernel says nothing: it was not the PIDs";
	const Refused &told = all.front();
	const std::string reason = told.text("reason");
	/* Whoever asks for 0 is out of range. */
	const bool automatic = !told.number("pid") && reason != "out-of-range" &&
			       reason != "too-many-pids";
	const std::string pid = automatic ? "automatic PID" : "PID " + told.text("pid");

	return "level " + told.text("level") + ", namespace " + told.text("ns") + ", " + pid +
	       ": " + reason_in_words(told);
}

static int run(const Options &options)
{
	const sigset_t forwarded = forwarded_signals();
	sigset_t mask;

	/* A caller that ignores it would keep children from being waited for. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &forwarded, &mask);
	const Fd signals(signalfd(-1, &forwarded, SFD_CLOEXEC));

	std::optional<RefusalTrace> trace;
	if (options.explain) {
		/* Callers are told by their PIDs there. */
		if (const char *missing = missing_initial_pid_ns())
			fail("--explain %s", missing);
		trace.emplace();
		if (trace->missing())
			fail("--explain %s", trace->missing());
	}

	NsChain chain;
	int level = static_cast<int>(nspids_of_self().size()) - 1;
	if (level < 0)
		fail("cannot read PIDs: is /proc mounted?");
	if (options.enter) {
		Fd top = open_namespace_of(*options.enter);

		level = static_cast<int>(nspids(top).size()) - 1;
		chain = NsChain(std::move(top));
	}
	const int target_level = level + options.new_namespaces;

	const uint64_t start = now_ns();
	add_namespaces(chain, options, level, target_level);
	const uint64_t namespaces_ns = now_ns() - start;

	const Shared<Outcome> outcome;
	const Gate gate;
	const pid_t caller = run_helper(chain, options, target_level, gate, mask, trace, *outcome);
	if (outcome->user_error)
		fail("--user %u: cannot become this user%s (%s)", *options.user,
		     outcome->user_error == EPERM ? ": needs CAP_SETUID and CAP_SETGID" : "",
		     errno_name(outcome->user_error));
	if (outcome->error)
		fail("%s%s", Refusal(options, target_level, *outcome).text().c_str(),
		     trace ? ("\nset_tid: " + explanation(*trace, caller)).c_str() : "");

	const uint64_t read_start = now_ns();
	Fd pidfd(outcome->pidfd);
	const Pids got = nspids(pidfd);
	const uint64_t read_ns = now_ns() - read_start;
	Child command(got.empty() ? 0 : got.back(), std::move(pidfd));

	if (got.empty())
		fail("cannot read the command's PIDs from /proc");
	if (options.report)
		report(options, got, chain.depth(), namespaces_ns, *outcome, read_ns);
	gate.open();
	return wait_for_command(command, signals, options.new_namespaces);
}

int main(int argc, char **argv)
{
	try {
		return run(parse_options(argc, argv));
	} catch (const Failure &failure) {
		fprintf(stderr, "set_tid: %s\n", failure.text.c_str());
		return exit_refused;
	}
}
