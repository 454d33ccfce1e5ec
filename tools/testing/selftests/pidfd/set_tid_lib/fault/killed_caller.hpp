/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A caller of clone3() that is killed between the claim of its PIDs and the
 * birth of the child, and what makes it wait there.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_KILLED_CALLER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_KILLED_CALLER_HPP

#include "../cgroup.hpp"
#include "../fd.hpp"
#include "../pidns.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../shared.hpp"
#include "../spawn.hpp"
#include "../syscall.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <utility>

/*
 * A process that moves from one cgroup to another all the time. Each time it
 * holds the lock that a caller needs to create a child in a cgroup, and holds
 * it for a grace period of RCU if nobody has moved for a while.
 */
class CgroupMover {
public:
	explicit CgroupMover(const Cgroup &cgroup) : cgroup_(cgroup)
	{
		for (const char *name : names) {
			if (!error_ && mkdirat(cgroup_.dir().get(), name, 0700))
				error_ = errno;
		}
		if (error_)
			return;
		Spawned spawned = run_in_child([&] { return move(); });

		mover_ = std::move(spawned.child);
		error_ = spawned.error;
	}
	CgroupMover(const CgroupMover &) = delete;
	~CgroupMover()
	{
		mover_.end();
		for (const char *name : names)
			unlinkat(cgroup_.dir().get(), name, AT_REMOVEDIR);
	}

	int error() const { return error_; }

	/* Stops it. Returns the errno of the move that failed, or 0. */
	int stop()
	{
		*stop_ = true;
		return mover_.wait().code;
	}

private:
	static constexpr const char *names[] = { "1", "2" };

	int move() const
	{
		int error = 0;

		for (int i = 0; !*stop_ && !error; i++) {
			error = cgroup_.set(i % 2 ? "1/cgroup.procs" : "2/cgroup.procs", "0");
			poll(nullptr, 0, 40);
		}
		return error;
	}

	const Cgroup &cgroup_;
	const Shared<std::atomic<bool>> stop_;
	Child mover_;
	int error_ = 0;
};

/* A process that makes the same call in a namespace again and again. */
class EndlessCaller {
public:
	EndlessCaller(const Request &request, const Fd &ns)
		: caller_(run_in_child([&] { return call(request, ns); }).child)
	{
	}

	bool has_started() const
	{
		return wait_until([&] { return state_->calls > 1; });
	}

	/* Kills it as soon as it is seen to wait for a lock, or after many looks. */
	void kill_while_it_waits()
	{
		const std::string stat = "/proc/" + std::to_string(caller_.pid()) + "/stat";

		for (int looks = 0; looks < 400; looks++) {
			if (state_in(stat) == 'D')
				break;
		}
		caller_.end();
	}

	/* How many children there were. */
	int born() const { return state_->born; }

private:
	struct State {
		std::atomic<int> calls = 0, born = 0;
	};

	int call(const Request &request, const Fd &ns) const
	{
		const ChildrenIn scope(ns);
		const clone_args args = request.args();

		for (;;) {
			++state_->calls;
			const long pid = sys_clone3(&args, sizeof(args));
			if (!pid) {
				++state_->born;
				_exit(0);
			}
			waitpid(pid, nullptr, 0);
		}
		return 0;
	}

	const Shared<State> state_;
	Child caller_;
};

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_KILLED_CALLER_HPP */
