/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to clone3() with chosen PIDs.
 *
 * What a test asks for is what the kernel gets: nothing here retries a call,
 * changes an errno, or adds to a request. The exception is what a child in the
 * caller's memory needs: a stack, and for a thread CLONE_CHILD_CLEARTID. The
 * classes close descriptors and kill and reap children.
 */
#ifndef SET_TID_LIB_REQUEST_HPP
#define SET_TID_LIB_REQUEST_HPP

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <memory>
#include <utility>

#include "fd.hpp"
#include "pids.hpp"
#include "process.hpp"
#include "spawn.hpp"
#include "stack.hpp"
#include "syscall.hpp"
#include "thread.hpp"

/*
 * Request{}.pids({1, 42, 31496}).flags(CLONE_NEWPID). What has no method is set
 * in the structure: raw().flags |= ..., or in a copy of it:
 * clone_args a = request.args(); a.set_tid_size = 34;
 */
class Request {
public:
	static constexpr uint64_t thread_flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM |
						 CLONE_FS | CLONE_FILES | CLONE_SYSVSEM;

	Request() { raw_.exit_signal = SIGCHLD; }

	/* Innermost namespace first. */
	Request &pids(Pids pids)
	{
		pids_ = std::move(pids);
		return *this;
	}
	Request &flags(uint64_t flags)
	{
		raw_.flags |= flags;
		return *this;
	}
	Request &exit_signal(int signal)
	{
		raw_.exit_signal = signal;
		return *this;
	}
	Request &into_cgroup(const Fd &dir)
	{
		raw_.flags |= CLONE_INTO_CGROUP;
		raw_.cgroup = dir.get();
		return *this;
	}
	/* A thread, or a sibling: these have no exit signal of their own. */
	Request &thread() { return flags(thread_flags).exit_signal(0); }
	Request &sibling() { return flags(CLONE_PARENT).exit_signal(0); }
	/* How much of the structure the kernel reads. */
	Request &size(size_t size)
	{
		size_ = size;
		return *this;
	}

	clone_args &raw() { return raw_; }

	/* The structure for the kernel. It points to this request's PIDs. */
	clone_args args() const
	{
		clone_args args = raw_;

		if (!pids_.empty()) {
			args.set_tid = reinterpret_cast<uintptr_t>(pids_.data());
			args.set_tid_size = pids_.size();
		}
		return args;
	}

	template <typename Fn> Spawned spawn(Fn fn) const
	{
		return ::spawn(args(), std::move(fn), size_);
	}

	/* A child that sleeps until it is killed or its creator ends. */
	Spawned sleeping() const
	{
		auto creator = std::make_shared<Fd>(own_pidfd());
		Spawned spawned = spawn([pidfd = creator->get()] { return sleep_beside(pidfd); });

		spawned.child.keep(std::move(creator));
		return spawned;
	}

	template <typename Fn> StartedThread start(Fn fn) const
	{
		auto run = std::make_shared<detail::SharedRun>();
		clone_args args = this->args();

		run->fn = std::move(fn);
		run->thread = true;
		if (!args.stack) {
			args.stack = run->stack.base();
			args.stack_size = Stack::size;
		}
		/* This is how join() knows that the stack is no longer used. */
		args.flags |= CLONE_CHILD_CLEARTID;
		args.child_tid = reinterpret_cast<uintptr_t>(&run->alive);

		const long tid =
			sys_clone3_on_stack(&args, size_, detail::SharedRun::enter, run.get());
		if (tid < 0)
			return { {}, static_cast<int>(-tid) };
		return { Thread(tid, std::move(run)), 0 };
	}

	/* Makes the call and returns its errno or 0. The child exits at once. */
	int attempt() const
	{
		auto leave = [] { return 0; };

		if (raw_.flags & CLONE_THREAD)
			return start(leave).error;

		Spawned spawned = spawn(leave);

		if (!spawned.error)
			spawned.child.wait();
		return spawned.error;
	}

private:
	clone_args raw_ = {};
	size_t size_ = sizeof(clone_args);
	Pids pids_;
};

/* fork(), as a clone3(). */
template <typename Fn> Spawned run_in_child(Fn fn)
{
	return Request{}.spawn(std::move(fn));
}

/* Creates a process with an automatic PID, and returns that. */
inline pid_t next_automatic_pid()
{
	Spawned c = run_in_child([] { return 0; });

	return c.child.pid();
}

#endif /* SET_TID_LIB_REQUEST_HPP */
