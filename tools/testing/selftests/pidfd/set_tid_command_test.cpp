// SPDX-License-Identifier: GPL-2.0
/*
 * The command set_tid: what it says, and its exit status. Each of its messages is
 * provoked here, some by a seccomp filter that answers in place of the kernel. The
 * exceptions:
 *
 * - "this kernel has no clone3()" and "clone3() is forbidden here" without a word on
 *   seccomp: no filter can answer then, and Linux has had clone3() since 5.3.
 * - --explain, "the namespace has lost its init": whoever asks is in that namespace,
 *   and is killed with it, but for a moment.
 * - --explain, "the kernel has no memory for it": one allocation of some hundred that
 *   the command makes. Both events are tested in set_tid_trace_test.
 * - --explain, a reason or a kind of holder that the command does not know: it is shown
 *   as it is, and this kernel has none.
 */
#include "set_tid_lib/harness.hpp"
#include "set_tid_lib/capability.hpp"
#include "set_tid_lib/errno.hpp"
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
#include "set_tid_lib/command/expect.hpp"
#include "set_tid_lib/command/holding.hpp"
#include "set_tid_lib/command/json.hpp"
#include "set_tid_lib/command/run.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace
{
constexpr uid_t nobody = 65534;

/* The one of several that the C library uses. */
#ifdef __NR_setgroups32
constexpr int setgroups_nr = __NR_setgroups32;
#else
constexpr int setgroups_nr = __NR_setgroups;
#endif

/*
 * What it is run in
 */

int become_nobody()
{
	return become_user(nobody);
}

/* Does not bother root. */
int allow_no_processes()
{
	const rlimit limit = {};

	return setrlimit(RLIMIT_NPROC, &limit) ? errno : 0;
}

/* Mounts that come and go stay in this process and its children. */
int own_mounts()
{
	if (unshare(CLONE_NEWNS) || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr))
		return errno;
	return 0;
}

int without_proc()
{
	const int error = own_mounts();

	return error ? error : umount2("/proc", MNT_DETACH) ? errno : 0;
}

int without_tracefs()
{
	const int error = own_mounts();

	/* One of the two may not be there; the first holds the second. */
	for (const char *mounted :
	     { "/sys/kernel/debug/tracing", "/sys/kernel/debug", "/sys/kernel/tracing" })
		umount2(mounted, MNT_DETACH);
	return error;
}
} // namespace

/* The kernel escapes names already, and no message has such bytes: this is for those to come. */
TEST(json_of_any_bytes)
{
	const std::string_view bytes("\0\x1f ~\x7f\\\"\xc3\xa4", 9);

	EXPECT_TEXT("\\x00\\x1f ~\\x7f\\x5c\"\\xc3\\xa4", escape_bytes(bytes));
	EXPECT_TEXT("\"\\u0000\\u001f ~\\u007f\\\\\\\"\\u00c3\\u00a4\"", json_string(bytes));
	EXPECT_TEXT("-4026531836", json_number("-4026531836"));
	for (const char *none : { "", "-", "1a", "--1", "1-" })
		EXPECT_TEXT("null", json_number(none));
}

FIXTURE(command)
{
	pid_t free;
};

FIXTURE_SETUP_REQUIRES(command, need::command)
{
	self->free = find_free_pid();
}

FIXTURE_TEARDOWN(command)
{
}

TEST_F(command, options)
{
	struct {
		std::vector<std::string> args;
		const char *says;
	} const wrong[] = {
		{ { "--pid", "" }, "--pid: \"\" is not a number" },
		{ { "--pid", "x" }, "--pid: \"x\" is not a number" },
		{ { "--pid", "4x" }, "--pid: \"4x\" is not a number" },
		{ { "--pid", "1,,2" }, "--pid: \"\" is not a number" },
		{ { "--pid", "99999999999" },
		  "--pid: 99999999999 is not between -2147483648 and 2147483647" },
		{ { "--pid", "1", "--pid", "2" }, "--pid is given twice" },
		{ { "--new-pidns=0" }, "--new-pidns: 0 is not between 1 and 32" },
		{ { "--new-pidns=33" }, "--new-pidns: 33 is not between 1 and 32" },
		{ { "--enter", "0" }, "--enter: 0 is not between 1 and 2147483647" },
		{ { "--user", "-1" }, "--user: \"-1\" is not a number" },
		{ { "--user", "4294967295" },
		  "--user: 4294967295 is not between 0 and 4294967294" },
		{ { "--json" }, "--json needs --report, --explain or --check" },
		{ { "--json", "--report", "--pid", "\xff" }, "--pid: \"\\xff\" is not a number" },
	};

	for (auto [args, says] : wrong) {
		args.insert(args.end(), { "--", "true" });
		EXPECT_REFUSED(says, Command(args));
	}
	EXPECT_REFUSED("no command given; try \"set_tid --help\"", Command({ "--report" }));
	EXPECT_REFUSED("unrecognized option '--what'\nTry \"set_tid --help\".",
		       Command({ "--what" }));
	const Ran help = Command({ "--help" }).run();

	EXPECT_EQ(0, help.status);
	EXPECT_EQ(0U, help.out.find("Usage: set_tid [OPTION]... [--] COMMAND"));
	EXPECT_TEXT("", help.err);
}

TEST_F(command, version)
{
	for (const char *option : { "--version", "-V" }) {
		const Ran ran = Command({ option }).run();

		EXPECT_EQ(0, ran.status);
		EXPECT_TEXT("", ran.err);
		EXPECT_TRUE(ran.out.starts_with("set_tid ") && ran.out.size() > 9);
		EXPECT_EQ(ran.out.size() - 1, ran.out.find('\n'));
	}
}

/* COMMAND does not run then: nobody would know its PIDs. */
TEST_F(command, output_that_cannot_be_written)
{
	const std::vector<std::string> cases[] = {
		{ "--help" },
		{ "--version" },
		{ "--report", "--", "sh", "-c", "echo >&2" },
		{ "--report", "--json", "--", "sh", "-c", "echo >&2" },
	};

	for (const auto &args : cases)
		EXPECT_REFUSED("cannot write to standard output (ENOSPC)",
			       Command(args).answered(__NR_write, { ENOSPC }));
}

TEST_F(command, exit_status_of_the_command)
{
	const std::vector<std::string> flavours[] = { {}, { "--new-pidns" } };

	for (auto args : flavours) {
		args.insert(args.end(), { "--", "sh", "-c", "exit 7" });
		const Ran exits = Command(args).run();
		EXPECT_EQ(7, exits.status);
		EXPECT_TEXT("", exits.err);

		/* A first process is deaf to its own SIGKILL, not to one from outside. */
		args.back() = "kill -TERM $PPID; while :; do :; done";
		if (args.size() > 4)
			continue;
		EXPECT_EQ(128 + SIGTERM, Command(args).run().status);
		args.back() = "kill -KILL $$";
		EXPECT_EQ(128 + SIGKILL, Command(args).run().status);
	}
	EXPECT_SAYS(127, "/nowhere/command: No such file or directory",
		    Command({ "--", "/nowhere/command" }));
	EXPECT_SAYS(126, "/dev/null: Permission denied", Command({ "--", "/dev/null" }));
}

TEST_F(command, report)
{
	const Ran ran = Command({ "--new-pidns=2", "--pid", "1,42," + str(self->free), "--report",
				  "--", "sh", "-c", "echo $$" })
				.run();
	char table[128];

	snprintf(
		table, sizeof(table),
		"level  requested  got\n    0  %9d  %d\n    1         42  42\n    2          1  1\n",
		self->free, self->free);
	EXPECT_EQ(0, ran.status);
	EXPECT_TEXT("", ran.err);
	EXPECT_EQ(0U, ran.out.find(table)) TH_LOG("%s", ran.out.c_str());
	for (const char *line : { "\npreparing 1 PID namespace ", "\nreading the PIDs back ",
				  "\nclone3(), with a new PID namespace ", " us\n1\n" })
		EXPECT_NE(ran.out.npos, ran.out.find(line)) TH_LOG("%s", ran.out.c_str());
}

TEST_F(command, report_as_json)
{
	const std::string free = str(self->free), prints_pid = "echo $$";
	const Ran chosen = Command({ "--new-pidns=2", "--pid", "1,42," + free, "--report", "--json",
				     "--", "sh", "-c", prints_pid })
				   .run();
	const Ran automatic = Command({ "-j", "-r", "--", "sh", "-c", prints_pid }).run();
	const std::string pid = automatic.out.substr(automatic.out.find('\n') + 1);

	EXPECT_EQ(0, chosen.status);
	EXPECT_TEXT("", chosen.err);
	EXPECT_TEXT(created(level(0, free, free) + "," + level(1, "42", "42") + "," +
				    level(2, "1", "1"),
			    1) +
			    "1\n",
		    without_times(chosen.out));
	EXPECT_EQ(0, automatic.status);
	EXPECT_TEXT("", automatic.err);
	EXPECT_TEXT(created(level(0, "null", pid.substr(0, pid.size() - 1)), 0) + pid,
		    without_times(automatic.out));
}

/* One line if COMMAND is not started, none for what happens later. */
TEST_F(command, failure_as_json)
{
	EXPECT_SAYS_JSON(125, failed("level 0: PID 1 is in use", "\"EEXIST\""),
			 "level 0: PID 1 is in use (EEXIST)",
			 Command({ "--report", "--json", "--pid", "1", "--", "true" }));
	EXPECT_SAYS_JSON(125, failed("cannot read PIDs: is /proc mounted?", "null"),
			 "cannot read PIDs: is /proc mounted?",
			 Command({ "--report", "--json", "--", "true" }).before(without_proc));
	const Ran ran = Command({ "--report", "--json", "--", "/nowhere/command" }).run();

	EXPECT_EQ(127, ran.status);
	EXPECT_TEXT("set_tid: /nowhere/command: No such file or directory\n", ran.err);
	EXPECT_TRUE(ran.out.starts_with("{\"result\":\"created\",") && ran.out.ends_with("}\n"));
	EXPECT_EQ(ran.out.size() - 1, ran.out.find('\n'));
	const Ran lost = Command({ "--report", "--json", "--", "true" })
				 .answered(__NR_waitid, { 0, ECHILD })
				 .run();

	EXPECT_EQ(125, lost.status);
	EXPECT_TEXT("set_tid: cannot wait for the command (ECHILD)\n", lost.err);
	EXPECT_EQ(lost.out.size() - 1, lost.out.find('\n'));
}

TEST_F(command, rows_of_the_rules)
{
	const std::string free = str(self->free), limit = str(pid_max());
	std::string above_limit = "level 0: PID ";

	above_limit.append(limit)
		.append(" is not below pid_max, ")
		.append(limit)
		.append(" (EINVAL)");

	EXPECT_REFUSED(
		"2 PIDs requested, but the target namespace is at level 0: at most 1 (EINVAL)",
		Command({ "--pid", free + ",1", "--", "true" }));
	EXPECT_REFUSED("level 0: PID 0 is not positive (EINVAL)",
		       Command({ "--pid", "0", "--", "true" }));
	EXPECT_REFUSED(above_limit, Command({ "--pid", limit, "--", "true" }));
	/* The latter is not below pid_max, or is, if the new namespace has its own. */
	EXPECT_REFUSED("level 1: first process of a PID namespace must be PID 1, not 2 (EINVAL)",
		       Command({ "--new-pidns", "--pid", "2," + free, "--", "true" }));
	EXPECT_REFUSED("level 1: first process of a PID namespace must be PID 1, not " + limit +
			       " (EINVAL)",
		       Command({ "--new-pidns", "--pid", limit + "," + free, "--", "true" }));
	EXPECT_REFUSED("level 0: needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the user "
		       "namespace that owns it (EPERM)",
		       Command({ "--user", str(nobody), "--pid", free, "--", "true" }));
	EXPECT_REFUSED("level 0: PID 1 is in use (EEXIST)",
		       Command({ "--new-pidns", "--pid", "1,1", "--", "true" }));
}

TEST_F_REQUIRES(command, pid_max_of_its_own, need::own_pid_max)
{
	NsChain chain(2);

	ASSERT_ERRNO(0, chain.error());
	const long usual = chain.pid_max_at(2);
	auto with_pids = [&](const char *pids) {
		return Command(
			{ "--enter", str(chain.init(2).pid()), "--pid", pids, "--", "true" });
	};
	ASSERT_ERRNO(0, chain.set_pid_max_at(1, 900));
	ASSERT_ERRNO(0, chain.set_pid_max_at(2, 900));
	EXPECT_REFUSED("level 2: PID 950 is not below pid_max, 900 (EINVAL)",
		       with_pids("950,1001"));
	ASSERT_ERRNO(0, chain.set_pid_max_at(2, usual));
	EXPECT_REFUSED("level 1: PID 950 is not below the pid_max of that level (EINVAL)",
		       with_pids("1001,950"));
}

/* Not about PIDs: limits, privileges, namespaces. */
TEST_F(command, other_reasons)
{
	auto limited_user = [] {
		const int error = become_nobody();

		return error ? error : allow_no_processes();
	};
	const std::string limit =
		"no more processes: a limit is reached or PIDs have run out (EAGAIN)";

	EXPECT_REFUSED("a new PID namespace needs CAP_SYS_ADMIN (EPERM)",
		       Command({ "--new-pidns", "--", "true" }).before(become_nobody));
	EXPECT_REFUSED("level 1: a new PID namespace needs CAP_SYS_ADMIN (EPERM)",
		       Command({ "--new-pidns=2", "--", "true" }).before(become_nobody));
	EXPECT_REFUSED("cannot create a process: " + limit,
		       Command({ "--", "true" }).before(limited_user));
	EXPECT_REFUSED(limit,
		       Command({ "--user", str(nobody), "--", "true" }).before(allow_no_processes));
	EXPECT_REFUSED(
		"--user 65533: cannot become this user: needs CAP_SETUID and CAP_SETGID (EPERM)",
		Command({ "--user", "65533", "--", "true" }).before(become_nobody));
	EXPECT_REFUSED("--user 65533: cannot become this user (EIO)",
		       Command({ "--user", "65533", "--", "true" }).before([] {
			       return hide_call(setgroups_nr, EIO);
		       }));
	EXPECT_REFUSED("cannot read PIDs: is /proc mounted?",
		       Command({ "--", "true" }).before(without_proc));
}

TEST_F(command, namespace_that_lost_its_init)
{
	const std::string gone = "out of memory, or the init of ";
	const Fd dead = dead_namespace();
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	EXPECT_REFUSED("cannot create a process: " + gone + "its PID namespace is gone (ENOMEM)",
		       Command({ "--", "true" }).before([&] {
			       return setns(dead.get(), CLONE_NEWPID) ? errno : 0;
		       }));
	EXPECT_REFUSED("level 1: this kernel has no PID namespaces, or the caller's children are "
		       "created in another one than its own (EINVAL)",
		       Command({ "--new-pidns=2", "--", "true" }).before([&] {
			       return setns(chain.ns(1).get(), CLONE_NEWPID) ? errno : 0;
		       }));
	/* In the middle of it. */
	auto ends = [&](int nth, pid_t) {
		if (nth == 1)
			chain.init(1).end();
		return 0;
	};
	EXPECT_REFUSED("the helper was killed by signal 9, as all are in a PID namespace that "
		       "loses its init",
		       Command({ "--enter", str(chain.init(1).pid()), "--", "true" })
			       .answered(__NR_clone3, ends));

	/* Only its last process is held back. */
	const Fd creator = own_pidfd();
	NsChain dying(1);
	Spawned last = dying.run_at(1, [&] { return sleep_beside(creator.get()); });
	ASSERT_ERRNO(0, last.error);
	HeldAtExit held(last.child);
	dying.init(1).kill();
	ASSERT_ERRNO(0, held.wait());
	const std::string pid = str(last.child.pid());
	EXPECT_REFUSED("cannot create a process: " + gone + "its PID namespace is gone (ENOMEM)",
		       Command({ "--enter", pid, "--", "true" }));
	EXPECT_REFUSED("level 2: " + gone + "the level above is gone (ENOMEM)",
		       Command({ "--enter", pid, "--new-pidns=2", "--", "true" }));
}

TEST_F(command, enter)
{
	auto start_and_leave = [] { return 0; };
	Spawned gone = run_in_child(start_and_leave), zombie = run_in_child(start_and_leave);
	std::atomic<bool> stop = false;
	const StartedThread thread = Request{}.thread().start([&] {
		while (!stop)
			syscall(__NR_sched_yield);
		return 0;
	});
	const std::string none = str(gone.child.pid()), tid = str(thread.thread.tid()),
			  self_pid = str(getpid());
	const int as_thread = syscall(__NR_pidfd_open, thread.thread.tid(), 0) < 0 ? errno : 0;

	gone.child.wait();
	zombie.child.wait_zombie();
	EXPECT_REFUSED("--enter " + none + ": there is no such process (ESRCH)",
		       Command({ "--enter", none, "--", "true" }));
	EXPECT_REFUSED("--enter " + tid + ": this is a thread, not a process (" +
			       errno_name(as_thread) + ")",
		       Command({ "--enter", tid, "--", "true" }));
	EXPECT_REFUSED("--enter " + self_pid + ": cannot open the process (EMFILE)",
		       Command({ "--enter", self_pid, "--", "true" }).before([] {
			       return hide_call(__NR_pidfd_open, EMFILE);
		       }));
	EXPECT_REFUSED("cannot enter the PID namespace: the process has ended (ESRCH)",
		       Command({ "--enter", str(zombie.child.pid()), "--", "true" }));
	EXPECT_REFUSED("cannot enter the PID namespace: needs CAP_SYS_ADMIN (EPERM)",
		       Command({ "--enter", self_pid, "--", "true" }).before(become_nobody));
	for (const auto &[error, says] :
	     { std::pair(EINVAL,
			 ": this kernel is older than Linux 5.8, or has no PID namespaces (EINVAL)"),
	       std::pair(EIO, " (EIO)") })
		EXPECT_REFUSED(
			std::string("cannot enter the PID namespace") + says,
			Command({ "--enter", self_pid, "--", "true" }).before([error = error] {
				return hide_call(__NR_setns, error);
			}));
	EXPECT_REFUSED(
		"level 2: cannot enter the PID namespace above it: this kernel is older than "
		"Linux 5.8, or has no PID namespaces (EINVAL)",
		Command({ "--new-pidns=3", "--", "true" }).before([] {
			return hide_call(__NR_setns, EINVAL);
		}));
	stop = true;
}

/* A namespace as deep as they go. */
/* Its owner may enter a namespace, but not come back to one that is not his. */
TEST_F_REQUIRES(command, enter_without_a_way_back, need::user_ns)
{
	NsChain chain;

	ASSERT_ERRNO(0, chain.add(CLONE_NEWUSER));
	for (const char *levels : { "1", "2" }) {
		const Ran ran = Command({ "--enter", str(chain.init(1).pid()),
					  "--new-pidns=" + std::string(levels), "--pid", "1", "--",
					  "true" })
					.before([&] {
						const int ns = chain.ns(1).get();

						return setns(ns, CLONE_NEWUSER) ? errno : 0;
					})
					.run();

		EXPECT_TEXT("", ran.out + ran.err);
		EXPECT_EQ(0, ran.status);
	}
}

TEST_F(command, deepest_level)
{
	NsChain chain(max_pid_ns_level);
	const std::string none_left = "no more PID namespaces: 32 levels or "
				      "user.max_pid_namespaces are reached (ENOSPC)";

	ASSERT_ERRNO(0, chain.error());
	const std::string deepest = str(chain.init(max_pid_ns_level).pid());
	EXPECT_REFUSED(none_left, Command({ "--enter", deepest, "--new-pidns", "--", "true" }));
	EXPECT_REFUSED("level 33: " + none_left,
		       Command({ "--enter", deepest, "--new-pidns=2", "--", "true" }));

	/* Older kernels answer like this by themselves. */
	constexpr int all = max_pid_ns_level + 1;
	std::string pids = "1001";
	for (int level = 1; level < all - 1; level++)
		pids += ",1001";
	pids += "," + str(self->free);
	EXPECT_REFUSED("33 PIDs requested, but this kernel takes only 32 at a time (EINVAL)",
		       Command({ "--enter", deepest, "--pid", pids, "--", "true" })
			       .answered(__NR_clone3, [](int nth, pid_t) {
				       return nth == 1 || nth == 2 + all ? EINVAL : 0;
			       }));
}

/* Container runtimes hide clone3() from those whose C library would use it. */
TEST_F(command, clone3_hidden_by_seccomp)
{
	const std::string hidden = "this kernel has no clone3(), or a seccomp filter hides it, as "
				   "those of container runtimes do (ENOSYS)";
	const std::string forbidden =
		"clone3() is forbidden here, perhaps by a seccomp filter (EPERM)";

	for (const auto &[error, says] : { std::pair(ENOSYS, hidden), std::pair(EPERM, forbidden),
					   std::pair(EIO, std::string("clone3() failed (EIO)")) })
		EXPECT_REFUSED("cannot create a process: " + says,
			       Command({ "--", "true" }).before([error = error] {
				       return hide_call(__NR_clone3, error);
			       }));
	for (const auto &[error, says] :
	     { std::pair(ENOSYS, hidden),
	       std::pair(EIO, std::string("cannot create a PID namespace (EIO)")) })
		EXPECT_REFUSED("level 1: " + says,
			       Command({ "--new-pidns=2", "--", "true" }).before([error = error] {
				       return hide_call(__NR_clone3, error);
			       }));
}

/* The calls: the helper, the command, the command with the first no, one, two ... PIDs. */
TEST_F(command, answers_that_other_kernels_give)
{
	const std::string pid = str(self->free);
	struct {
		std::vector<int> answers;
		const char *option, *value;
		std::string says;
	} const cases[] = {
		{ { 0, EEXIST },
		  "--pid",
		  pid.c_str(),
		  "clone3() failed, but the same requests succeeded afterwards: try again (EEXIST)" },
		{ { 0, E2BIG },
		  "--pid",
		  pid.c_str(),
		  "this kernel's clone3() does not know set_tid (E2BIG)" },
		{ { 0, EIO, 0, EIO },
		  "--pid",
		  pid.c_str(),
		  "level 0: PID " + pid + " is refused (EIO)" },
		{ { 0, EINVAL, 0, EINVAL },
		  "--pid",
		  pid.c_str(),
		  "level 0: PID " + pid + " is invalid (EINVAL)" },
		{ { 0, ENOMEM, ENOMEM },
		  "--pid",
		  pid.c_str(),
		  "out of memory, or a level has lost its init (ENOMEM)" },
		{ { 0, EPERM, EPERM },
		  "--pid",
		  pid.c_str(),
		  "clone3() is forbidden here, perhaps by a seccomp filter (EPERM)" },
		{ { 0, EINVAL, EINVAL },
		  "--new-pidns",
		  "--report",
		  "this kernel has no PID namespaces (EINVAL)" },
		{ { 0, EIO, EIO }, "--pid", pid.c_str(), "clone3() failed (EIO)" },
	};

	for (const auto &[answers, option, value, says] : cases)
		EXPECT_REFUSED(
			says,
			Command({ option, value, "--", "true" }).answered(__NR_clone3, answers));
}

/* What goes wrong on the way. */
TEST_F(command, accidents)
{
	EXPECT_REFUSED("the helper was killed by signal 11",
		       Command({ "--", "true" }).answered(__NR_clone3, [](int nth, pid_t caller) {
			       return nth == 1 ? kill(caller, SIGSEGV) : 0;
		       }));
	EXPECT_REFUSED("cannot wait for the command (ECHILD)",
		       Command({ "--", "true" }).answered(__NR_waitid, { 0, ECHILD }));
	/* The last one: this process does not see /proc any more, either. */
	ASSERT_ERRNO(0, own_mounts());
	EXPECT_REFUSED("cannot read the command's PIDs from /proc",
		       Command({ "--", "true" }).answered(__NR_clone3, [](int nth, pid_t) {
			       return nth == 1 ? umount2("/proc", MNT_DETACH) : 0;
		       }));
}

/*
 * --explain
 */

TEST_F(command, explain_needs)
{
	const std::vector<std::string> args = { "--explain", "--pid", "1", "--", "true" };
	SKIP_IF_MISSING(need::initial_pid_ns());
	NsChain chain(1);

	ASSERT_ERRNO(0, chain.error());
	Spawned inside = chain.run_at(
		1, checks(_metadata, [&](auto *_metadata) {
			EXPECT_REFUSED("--explain needs the initial PID namespace", Command(args));
		}));
	EXPECT_CHECKS_PASS(inside);
	EXPECT_REFUSED("--explain needs a kernel with the trace event set_tid_refused, and tracefs",
		       Command(args).before(without_tracefs));
}

FIXTURE(explain)
{
	pid_t free;
	NsChain *chain;
};

FIXTURE_SETUP_REQUIRES(explain, need::command, need::initial_pid_ns, need::trace)
{
	self->free = find_free_pid();
	self->chain = new NsChain(2);
	ASSERT_ERRNO(0, self->chain->error());
}

FIXTURE_TEARDOWN(explain)
{
	delete self->chain;
}

TEST_F(explain, needs_rights)
{
	const std::vector<std::string> args = { "--explain", "--pid", "1", "--", "true" };

	EXPECT_REFUSED("--explain needs the right to make an instance in tracefs",
		       Command(args).before([] {
			       const int error = hide_call(__NR_mkdirat, EPERM);
#ifdef __NR_mkdir
			       return error ? error : hide_call(__NR_mkdir, EPERM);
#else
			       return error;
#endif
		       }));
	EXPECT_REFUSED("--explain needs the right to trace", Command(args).before([] {
		/* Those of stdio and one for signals, which is open by then. */
		const rlimit descriptors = { 4, 4 };

		return setrlimit(RLIMIT_NOFILE, &descriptors) ? errno : 0;
	}));
}

TEST_F(explain, rows_of_the_rules)
{
	const std::string free = str(self->free);

	const auto args = [](std::vector<std::string> options) {
		options.insert(options.end(), { "--", "true" });
		return options;
	};
	EXPECT_EXPLAINED(
		"2 PIDs requested, but the target namespace is at level 0: at most 1", "EINVAL",
		(Why{ 0, getpid(), "0", "too-many-pids", "one more than there are levels" }),
		args({ "--pid", free + ",0" }));
	for (const char *pid : { "0", "-7" })
		EXPECT_EXPLAINED(
			"level 0: PID " + std::string(pid) + " is not positive", "EINVAL",
			(Why{ 0, getpid(), pid, "out-of-range", "not between 1 and pid_max - 1" }),
			args({ "--pid", pid }));
	EXPECT_EXPLAINED("level 0: needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the user "
			 "namespace that owns it",
			 "EPERM",
			 (Why{ 0, getpid(), free, "no-capability",
			       "the caller has no capability in the user namespace that owns it" }),
			 args({ "-u", str(nobody), "--pid", free }));
	const std::string limit = "no more processes: a limit is reached or PIDs have run out",
			  nothing = limit + " (EAGAIN)\nset_tid: the kernel says nothing: it was "
					    "not the PIDs";
	EXPECT_REFUSED(
		nothing,
		Command({ "-x", "-u", str(nobody), "--", "true" }).before(allow_no_processes));
	EXPECT_SAYS_JSON(
		125, failed(limit, "\"EAGAIN\""), nothing,
		Command({ "-x", "-j", "-u", str(nobody), "--", "true" }).before(allow_no_processes));
	/* No process is in that namespace, so its inode is unknown. */
	const Ran ran =
		Command({ "-x", "-j", "--new-pidns", "--pid", "2," + free, "--", "true" }).run();
	EXPECT_EQ(125, ran.status);
	EXPECT_TRUE(ran.err.ends_with(
		", PID 2: as long as the namespace has no init, 1 is its only PID\n"))
	TH_LOG("%s", ran.err.c_str());
	EXPECT_TRUE(ran.out.ends_with(
		",\"pid\":2,\"reason\":\"no-init-yet\",\"holder\":null,\"text\":\"as long as "
		"the namespace has no init, 1 is its only PID\"}}\n"))
	TH_LOG("%s", ran.out.c_str());
}

TEST_F(explain, held_by_a_process_of_any_name)
{
	static constexpr std::pair<const char *, const char *> names[] = {
		{ "sleeper", "sleeper" },
		{ "", "" },
		{ "\n", "\\x0a" },
		{ "\x1b[31mred", "\\x1b[31mred" },
		{ "\xff\xff", "\\xff\\xff" },
		{ "\xc3\xa4", "\\xc3\\xa4" },
		{ "holder=none", "holder=none" },
		{ "reason=", "reason=" },
		{ "a\\b) Z (", "a\\x5cb)\\x20Z\\x20(" },
		{ "\",\"pid\":1,\"\\", "\",\"pid\":1,\"\\x5c" },
	};

	for (const auto &[raw, name] : names) {
		const Shared<std::atomic<bool>> named;
		const Fd creator = own_pidfd();
		Spawned holder = run_in_child([&, raw = raw] {
			*named = !prctl(PR_SET_NAME, raw);
			return sleep_beside(creator.get());
		});
		const pid_t pid = holder.child.pid();

		ASSERT_ERRNO(0, holder.error);
		ASSERT_TRUE(wait_until([&] { return named->load(); }));
		EXPECT_IN_USE(pid,
			      "held by process " + str(pid) +
				      (*name ? " (" + std::string(name) + ")" :
					       ", whose name is empty"),
			      holder_json("process", pid, pid, name));
	}
}

static std::string held_by(const std::string &kind, const Holding &held)
{
	const std::string who = str(held.holder()) + " (test)";

	if (kind == "exited-leader")
		return "held by process " + who +
		       ", of which the first thread has exited, not the others: to kill its "
		       "parent, or to wait for it, does not free the PID";
	if (kind == "thread")
		return "held by thread " + who + " of process " + str(held.tgid());
	if (kind == "zombie")
		return "held by zombie " + who + ", until its parent waits for it";
	if (kind == "group" || kind == "session")
		return "only a process " + kind + " has it: process " + who + " is in it";
	return "held by " + kind + " " + who;
}

TEST_F(explain, held_in_each_way)
{
	for (const std::string kind : Holding::kinds) {
		const Holding held(kind);

		ASSERT_TRUE(held.ready());
		EXPECT_IN_USE(held.pid(), held_by(kind, held),
			      holder_json(kind, held.holder(), held.tgid(), "test"));
	}
}

TEST_F_REQUIRES(explain, held_by_nobody_yet, need::userfaultfd)
{
	PausedCall call(self->chain->ns(1), { 1001, self->free });

	ASSERT_TRUE(call.paused());
	EXPECT_IN_USE(self->free, "nobody has it any more, or its process is only being made",
		      "null");
	EXPECT_ERRNO(0, call.finish());
}

/* As row13 of set_tid_trace_test has it: level 1 has one number to give, and that is taken. */
TEST_F(explain, no_automatic_pid_left)
{
	const Why why = { 1, self->chain->init(1).pid(), "", "none-free", "none is left" };
	const std::vector<std::string> args = { "--enter", str(self->chain->init(2).pid()),
						"--pid",   "5",
						"--",	   "true" };
	const long usual = self->chain->pid_max_at(1);
	Spawned only;
	pid_t free = 299;
	auto free_outside = [] {
		pid_t pid = 299;

		while (pid_in_use(pid))
			pid--;
		return pid;
	};
	/*
	 * Where no automatic PID is left a process needs one of its own choice: at
	 * both levels, which may have the same pid_max.
	 */
	auto set_in_level_1 = [&](const std::string &name, long value) {
		const ChildrenIn scope(self->chain->ns(1));
		auto set = [&] {
			return write_file("/proc/sys/kernel/" + name, std::to_string(value));
		};

		return Request{}.pids({ free--, free_outside() }).spawn(set).child.wait().code;
	};
	auto exhaust = [&](int nth, pid_t) {
		if (nth == 1 && !set_in_level_1("pid_max", 301))
			set_in_level_1("ns_last_pid", 300);
		return 0;
	};
	auto with_pids = [&] { return set_in_level_1("pid_max", usual); };

	{
		const ChildrenIn scope(self->chain->ns(1));
		only = Request{}.pids({ 300 }).sleeping();
	}
	EXPECT_ERRNO(0, only.error);
	EXPECT_EXPLAINED("no more processes: a limit is reached or PIDs have run out", "EAGAIN",
			 why, args, .before(with_pids).answered(__NR_clone3, exhaust));
}

TEST_HARNESS_MAIN
