/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests of the command set_tid: somebody who has a PID, in each of the ways in
 * which one can be in use.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_COMMAND_HOLDING_HPP
#define SELFTESTS_PIDFD_SET_TID_COMMAND_HOLDING_HPP

#include "../clock.hpp"
#include "../fd.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../shared.hpp"
#include "../spawn.hpp"
#include "../thread.hpp"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <string>

/* Whoever it is, the name is "test". */
class Holding {
public:
	/* The names that the kernel's trace event has for them. */
	static constexpr const char *kinds[] = { "process", "exited-leader", "thread",
						 "zombie",  "group",	     "session" };

	explicit Holding(const std::string &kind) : creator_(own_pidfd())
	{
		prctl(PR_SET_NAME, "test");
		if (kind == "thread")
			hold_as_thread();
		else if (kind == "exited-leader")
			hold_as_leader();
		else if (kind == "group" || kind == "session")
			hold_as_member(kind == "group");
		else
			hold_as_process(kind == "zombie");
	}
	Holding(const Holding &) = delete;
	~Holding() { stop_ = true; }

	bool ready() const { return ready_; }
	/* The PID that is in use, and who has it: a process, or a thread of one. */
	pid_t pid() const { return pid_; }
	pid_t holder() const { return holder_; }
	pid_t tgid() const { return tgid_; }

private:
	void hold_as_thread()
	{
		thread_ = Request{}.thread().start([this] {
			while (!stop_)
				syscall(__NR_sched_yield);
			return 0;
		});
		pid_ = holder_ = thread_.thread.tid();
		tgid_ = getpid();
		ready_ = !thread_.error;
	}

	/* The first thread has exited, another one is still there. */
	void hold_as_leader()
	{
		child_ = run_in_child([this] {
			const StartedThread rest = Request{}.thread().start(
				[pidfd = creator_.get()] { return sleep_beside(pidfd); });

			syscall(__NR_exit, rest.error);
			return 0;
		});
		pid_ = holder_ = tgid_ = child_.child.pid();
		ready_ = wait_until(
			[&] { return state_in("/proc/" + std::to_string(pid_) + "/stat") == 'Z'; });
	}

	/* The leader of the group or session has gone. */
	void hold_as_member(bool group)
	{
		const Shared<std::atomic<pid_t>> member;
		Spawned leader = run_in_child([&] {
			group ? setpgid(0, 0) : setsid();
			const pid_t pid = fork();
			if (!pid) {
				if (!group)
					setpgid(0, 0);
				*member = getpid();
				return sleep_beside(creator_.get());
			}
			return wait_until([&] { return *member > 0; }) ? 0 : 1;
		});

		pid_ = leader.child.pid();
		ready_ = !leader.error && !leader.child.wait().code;
		holder_ = tgid_ = *member;
		child_.child = Child(*member);
	}

	void hold_as_process(bool zombie)
	{
		child_ = zombie ? run_in_child([] { return 0; }) : Request{}.sleeping();
		pid_ = holder_ = tgid_ = child_.child.pid();
		ready_ = !child_.error;
		if (zombie)
			child_.child.wait_zombie();
	}

	const Fd creator_;
	std::atomic<bool> stop_ = false;
	Spawned child_;
	StartedThread thread_;
	pid_t pid_ = 0, holder_ = 0, tgid_ = 0;
	bool ready_ = false;
};

#endif /* SELFTESTS_PIDFD_SET_TID_COMMAND_HOLDING_HPP */
