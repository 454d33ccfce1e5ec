/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PID namespaces.
 */
#ifndef SET_TID_LIB_PIDNS_HPP
#define SET_TID_LIB_PIDNS_HPP

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "fd.hpp"
#include "file.hpp"
#include "pids.hpp"
#include "proc.hpp"
#include "process.hpp"
#include "request.hpp"
#include "shared.hpp"
#include "spawn.hpp"
#include "syscall.hpp"

/*
 * Children of this process are created in another PID namespace, that of a
 * process or of an open /proc/<pid>/ns/pid, until the end of the scope.
 */
class ChildrenIn {
public:
	explicit ChildrenIn(const Fd &where) : own_(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC))
	{
		error_ = setns(where.get(), CLONE_NEWPID) ? errno : 0;
	}
	ChildrenIn(const ChildrenIn &) = delete;
	~ChildrenIn()
	{
		if (!error_ && setns(own_.get(), CLONE_NEWPID) && !may_stay)
			abort();
	}
	int error() const { return error_; }

	/* For whoever may have no right to come back, and only goes further in. */
	static inline bool may_stay = false;

private:
	Fd own_;
	int error_;
};

/* Maps all IDs of a new user namespace to themselves: its parent's root can. */
inline int map_all_ids(pid_t pid)
{
	const std::string proc = "/proc/" + std::to_string(pid);

	if (int error = write_file(proc + "/uid_map", "0 0 4294967295"))
		return error;
	return write_file(proc + "/gid_map", "0 0 4294967295");
}

/*
 * PID namespaces one inside the other, each with an init that sleeps. All inits
 * are children of the process that made the chain: it can look at, kill and
 * enter every level. Level 1 is the first one below the caller's own.
 */
class NsChain {
public:
	NsChain() = default;
	/* Below another namespace than the caller's own. */
	explicit NsChain(Fd top) : top_(std::move(top)) {}
	explicit NsChain(int depth)
	{
		while (this->depth() < depth && !error_)
			error_ = add();
	}
	~NsChain()
	{
		while (!inits_.empty())
			inits_.pop_back();
	}
	NsChain(NsChain &&) = default;
	NsChain &operator=(NsChain &&) = default;

	/* Why the chain is shorter than it was asked to be, or 0. */
	int error() const { return error_; }
	int depth() const { return inits_.size(); }
	Child &init(int level) { return inits_[level - 1].child; }
	const Fd &ns(int level) const { return inits_[level - 1].child.pidfd(); }
	const Fd &deepest() const { return inits_.empty() ? top_ : inits_.back().child.pidfd(); }

	/* Removes the deepest level from the chain. The namespace lives as long as its init. */
	Child pop()
	{
		Child init = std::move(inits_.back().child);

		inits_.pop_back();
		return init;
	}

	/*
	 * One level more. With CLONE_NEWUSER in flags it has a user namespace
	 * of its own, inside that of the level above, with the same IDs.
	 */
	int add(uint64_t flags = 0)
	{
		if (deepest().valid())
			return add_below_deepest(flags);

		Spawned init = Request{}.flags(CLONE_NEWPID | flags).sleeping();

		if (!init.error && flags & CLONE_NEWUSER)
			init.error = map_all_ids(init.child.pid());
		if (!init.error)
			inits_.push_back({ std::move(init.child), flags });
		return init.error;
	}

	/*
	 * Runs fn() in an ordinary task, not an init, at a level. The task has
	 * the caller's user namespace: setns(ns(level).get(), CLONE_NEWUSER)
	 * in fn() changes to that of the level.
	 */
	template <typename Fn> Spawned run_at(int level, Fn fn) const
	{
		const ChildrenIn scope(ns(level));

		if (scope.error())
			return { {}, scope.error() };
		return run_in_child(std::move(fn));
	}
	template <typename Fn> Spawned run_deepest(Fn fn) const
	{
		return run_at(depth(), std::move(fn));
	}

	/* Since Linux 6.14 each namespace has its own; before, all have the same. */
	long pid_max_at(int level) const
	{
		const Shared<std::atomic<long>> max;

		run_at(level, [&] { return *max = pid_max(), 0; }).child.wait();
		return *max;
	}

	/* The same, written. Returns the errno, 0, or -1 if nobody could write it. */
	int set_pid_max_at(int level, long max) const
	{
		auto set = [&] {
			return write_file("/proc/sys/kernel/pid_max", std::to_string(max));
		};

		return run_at(level, set).child.wait().code;
	}

private:
	struct Level {
		Child child;
		uint64_t flags;
	};

	int add_below_deepest(uint64_t flags)
	{
		/*
		 * A namespace is created inside that of its creator, not that
		 * of its creator's children. So a helper process enters the
		 * namespace. It creates the init as a sibling (CLONE_PARENT)
		 * and shares its descriptors, so the pidfd is ours, too.
		 */
		struct Made {
			int pidfd = -1;
			int error = 0;
		};
		const Shared<Made> made;
		const Fd owner = own_pidfd();
		/* The owner must be that of the levels above, or inside of it. */
		const bool own_user_ns = std::any_of(inits_.begin(), inits_.end(), [](auto &level) {
			return level.flags & CLONE_NEWUSER;
		});
		const ChildrenIn scope(deepest());

		if (scope.error())
			return scope.error();
		auto make = [&] {
			Request request;

			if (own_user_ns && setns(deepest().get(), CLONE_NEWUSER)) {
				made->error = errno;
				return 1;
			}
			request.flags(CLONE_NEWPID | CLONE_PIDFD | flags).sibling();
			request.raw().pidfd = reinterpret_cast<uintptr_t>(&made->pidfd);
			const long pid = sys_clone3(&request.raw(), sizeof(clone_args));
			if (!pid)
				_exit(sleep_beside(owner.get()));
			if (pid < 0)
				made->error = -pid;
			else if (flags & CLONE_NEWUSER)
				made->error = map_all_ids(outermost_pid(made->pidfd));
			return 0;
		};
		Spawned helper = Request{}.flags(CLONE_FILES).spawn(make);
		if (helper.error)
			return helper.error;
		helper.child.wait();
		Child init(outermost_pid(made->pidfd), Fd(made->pidfd));
		if (made->error)
			return made->error;
		inits_.push_back({ std::move(init), flags });
		return 0;
	}

	static pid_t outermost_pid(int pidfd)
	{
		const Pids pids = nspids("/proc/self/fdinfo/" + std::to_string(pidfd));

		return pids.empty() ? 0 : pids.back();
	}

	Fd top_;
	std::vector<Level> inits_;
	int error_ = 0;
};

namespace need
{
/* A kernel.pid_max for each PID namespace, not one for all. */
inline const char *own_pid_max()
{
	const std::string path = "/proc/sys/kernel/pid_max";
	const long usual = pid_max();
	const NsChain chain(1);
	Spawned lower =
		chain.run_at(1, [&] { return write_file(path, std::to_string(pid_max() - 1)); });

	if (lower.error || lower.child.wait().code)
		return "cannot lower kernel.pid_max";
	if (pid_max() == usual)
		return nullptr;
	write_file(path, std::to_string(usual));
	return "needs a pid_max for each PID namespace (Linux 6.14)";
}

} // namespace need

/* The namespace of a process. The descriptor outlives the process. */
inline Fd open_ns(const Child &process)
{
	const std::string path = "/proc/" + std::to_string(process.pid()) + "/ns/pid";

	return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

/* A PID namespace that has lost its init. */
inline Fd dead_namespace()
{
	const Spawned init = Request{}.flags(CLONE_NEWPID).sleeping();

	return open_ns(init.child);
}

/* Two ways to the namespace that a process creates its children in. */
inline Fd children_ns(const Fd &pidfd)
{
	return Fd(ioctl(pidfd.get(), PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE, 0));
}
inline Fd children_ns_by_pidfd(const Child &child)
{
	return children_ns(child.pidfd());
}
inline Fd children_ns_by_proc(const Child &child)
{
	const std::string path = "/proc/" + std::to_string(child.pid()) + "/ns/pid_for_children";

	return Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

#endif /* SET_TID_LIB_PIDNS_HPP */
