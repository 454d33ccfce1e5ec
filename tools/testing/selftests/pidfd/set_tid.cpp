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
#include "set_tid_lib/command/explanation.hpp"
#include "set_tid_lib/command/images.hpp"
#include "set_tid_lib/command/inside.hpp"
#include "set_tid_lib/command/options.hpp"
#include "set_tid_lib/command/outcome.hpp"
#include "set_tid_lib/command/preflight.hpp"
#include "set_tid_lib/command/refusal.hpp"
#include "set_tid_lib/command/report.hpp"
#include "set_tid_lib/command/signals.hpp"
#include "set_tid_lib/command/target.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

			if (error)
				fail(why_no_namespace(error, top_level + chain.depth() + 1,
						      chain.deepest().valid()),
				     error);
			if (!is_in_the_way(chain.init(chain.depth()), options.pids, target_level))
				break;
			in_the_way.push_back(chain.pop());
		}
	}
}

/*
 * The command
 */

[[noreturn]] static void exec_command(char **command, const sigset_t &mask)
{
	sigprocmask(SIG_SETMASK, &mask, nullptr);
	execvp(command[0], command);
	const int error = errno;
	fprintf(stderr, "set_tid: %s: %s\n", escape_bytes(command[0]).c_str(), strerror(error));
	_exit(error == ENOENT ? exit_not_found : exit_cannot_run);
}

/*
 * The errno says what is wrong, but not with which PID. The kernel validates the
 * levels from the innermost outwards: first whether all are valid and permitted,
 * then whether all are free. So the shortest part of the list that fails in the
 * same way ends with the PID that is the reason: one before it would make a
 * shorter part fail, and one after it is not in that part. A part that succeeds
 * creates a child, which exits at once.
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
	die_with_parent();
	if (exits_within(tool, 0))
		_exit(exit_refused);
}

/* The helper's part, in the namespace that the command is created from. */
static int create_command(const Options &options, const Fd &tool, const Gate &gate,
			  const sigset_t &mask, Outcome &outcome)
{
	Request request;

	if (options.user && (outcome.user_error = become_user(*options.user)))
		return 1;
	/* Becoming another user has reset this. */
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
		outcome.pid_max = pid_max();
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
			fail(why_no_entry(error), error);
	}
	for (;;) {
		const Gate go;
		Spawned helper = Request{}.flags(CLONE_FILES).spawn([&] {
			die_with_tool(tool);
			go.wait();
			return create_command(options, tool, gate, mask, outcome);
		});

		if (helper.error)
			fail("cannot create a process: " +
				     (helper.error == ENOMEM ?
					      "out of memory, or the init of its PID "
					      "namespace is gone" :
					      why_no_process(helper.error)),
			     helper.error);
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
			fail("the helper was killed by signal " + std::to_string(status.signal) +
			     (status.signal == SIGKILL ?
				      ", as all are in a PID namespace that loses its init" :
				      ""));
		return caller;
	}
}

static void listen(std::optional<RefusalTrace> &trace)
{
	/* The trace has callers by their PIDs there. */
	if (const char *missing = need::initial_pid_ns())
		fail(std::string("--explain ") + missing);
	trace.emplace();
	if (trace->missing())
		fail(std::string("--explain ") + trace->missing());
}

/* Fills the chain, and returns the level at which the command is created. */
static int prepare_namespaces(const Options &options, NsChain &chain)
{
	int level = static_cast<int>(nspids_of_self().size()) - 1;

	if (level < 0)
		fail("cannot read PIDs: is /proc mounted?");
	if (options.enter) {
		Fd top = open_namespace_of(*options.enter);

		level = static_cast<int>(nspids(top).size()) - 1;
		chain = NsChain(std::move(top));
	}
	const int target_level = level + options.new_namespaces;

	add_namespaces(chain, options, level, target_level);
	return target_level;
}

/* The command is created, and waits at the gate. */
static Created create(const Options &options, NsChain &chain, const Gate &gate,
		      const sigset_t &mask)
{
	const Shared<Outcome> outcome;
	std::optional<RefusalTrace> trace;
	Created created = {};

	if (options.explain)
		listen(trace);

	const uint64_t start = now_ns();
	const int target_level = prepare_namespaces(options, chain);
	created.prepare_ns = now_ns() - start;
	created.prepared_namespaces = chain.depth();

	const pid_t caller = run_helper(chain, options, target_level, gate, mask, trace, *outcome);
	if (const int error = outcome->user_error)
		fail("--user " + std::to_string(*options.user) + ": cannot become this user" +
			     (error == EPERM ? ": needs CAP_SETUID and CAP_SETGID" : ""),
		     error);
	if (outcome->error)
		fail(Refusal(options, target_level, *outcome).text(), outcome->error,
		     trace ? explain(*trace, caller) : Explanation{});
	created.clone3_ns = outcome->call_ns;

	const uint64_t read_start = now_ns();
	Fd pidfd(outcome->pidfd);
	created.pids = nspids(pidfd);
	created.read_ns = now_ns() - read_start;
	created.command = Child(created.pids.empty() ? 0 : created.pids.back(), std::move(pidfd));
	if (created.pids.empty())
		fail("cannot read the command's PIDs from /proc");
	return created;
}

/*
 * kernel.pid_min of a namespace, from outside: /proc/sys may be read-only inside. The
 * value is that of the namespace of whoever writes, so a helper does it there.
 */
static int write_pid_min(const Options &options)
{
	const std::string path = "/proc/sys/kernel/pid_min";
	const std::string number = std::to_string(*options.pid_min);
	const auto write = [&] { return write_file(path, number); };
	const long result = options.enter ? run_inside(open_namespace_of(*options.enter), write) :
					    write();

	if (result < 0)
		fail(why_no_entry(-result), -result);
	switch (result) {
	case 0:
		return 0;
	case EINVAL:
		fail("--pid-min " + number + ": fewer than 300 PIDs would be left below pid_max",
		     EINVAL);
	case EPERM:
		fail("--pid-min needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the user "
		     "namespace that owns the PID namespace",
		     EPERM);
	case ENOENT:
		fail("--pid-min needs a kernel with kernel.pid_min", ENOENT);
	default:
		fail("cannot write " + path, result);
	}
}

/* What fn() returns. If it fails and JSON is wanted, that says why, too. */
template <typename Fn> static auto with_json(const Options &options, Fn fn)
{
	Failure failure;

	try {
		return fn();
	} catch (const Failure &thrown) {
		failure = thrown;
	} catch (const std::bad_alloc &) {
		failure = { "out of memory", ENOMEM };
	}
	/* Whether or not this can be written, the failure is what counts. */
	if (options.json)
		fputs(failure_json(failure).c_str(), stdout);
	throw failure;
}

static int check(const Options &options)
{
	const std::vector<Wanted> requests =
		options.criu_images  ? read_criu_images(*options.criu_images) :
		options.pids.empty() ? read_requests(stdin) :
				       std::vector<Wanted>{ { options.pids } };
	Preflight preflight(options, requests);
	/* CRIU makes helpers, each with the next PID that its image does not have. */
	CheckReport report(preflight, options.criu_images ? requests.size() : 0, options.json);

	for (const Wanted &wanted : requests)
		report.add(wanted);
	print(report.text());
	return report.exit_status();
}

static int run(const Options &options)
{
	const sigset_t forwarded = forwarded_signals();
	sigset_t mask;

	sigprocmask(SIG_BLOCK, &forwarded, &mask);
	const Fd signals(signalfd(-1, &forwarded, SFD_CLOEXEC));

	/* Its inits live until the command has ended. */
	NsChain chain;
	const Gate gate;
	Created created = with_json(options, [&] { return create(options, chain, gate, mask); });
	if (options.report)
		print(options.json ? report_json(options, created) : report_text(options, created));
	gate.open();
	return wait_for_command(created.command, signals, options.new_namespaces);
}

int main(int argc, char **argv)
{
	try {
		const Options options = parse_options(argc, argv);

		/* A caller that ignores it would keep children from being waited for. */
		signal(SIGCHLD, SIG_DFL);
		ChildrenIn::may_stay = true;

		return options.check   ? with_json(options, [&] { return check(options); }) :
		       options.pid_min ? write_pid_min(options) :
					 run(options);
	} catch (const Failure &failure) {
		print_failure(failure);
		return exit_refused;
	}
}
