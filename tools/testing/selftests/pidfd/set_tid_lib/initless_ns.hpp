/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PID namespaces that have no init yet.
 */
#ifndef SET_TID_LIB_INITLESS_NS_HPP
#define SET_TID_LIB_INITLESS_NS_HPP

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <utility>

#include "clock.hpp"
#include "fd.hpp"
#include "pidns.hpp"
#include "process.hpp"
#include "request.hpp"
#include "shared.hpp"
#include "spawn.hpp"

/*
 * A PID namespace without an init: its creator has unshared it and creates no
 * process. Whoever has the descriptor can enter it, even after the creator's end.
 */
class InitlessNs {
public:
	using Open = Fd (*)(const Child &);

	/*
	 * Below a level of a chain, the deepest one if none is named, or the caller's own
	 * namespace. prepare() is called by the creator before, and returns 0 or an errno.
	 */
	explicit InitlessNs(const NsChain &above = {}, Open open = children_ns_by_pidfd,
			    const std::function<int()> &prepare = nullptr, int level = 0)
	{
		const Shared<std::atomic<int>> unshared;
		auto body = [&] {
			int error = prepare ? prepare() : 0;

			if (!error && unshare(CLONE_NEWPID))
				error = errno;
			*unshared = error ? -error : 1;
			for (;;)
				pause();
			return 0;
		};
		if (!level)
			level = above.depth();
		Spawned spawned = level ? above.run_at(level, body) : run_in_child(body);

		creator_ = std::move(spawned.child);
		error_ = spawned.error;
		if (error_)
			return;
		if (!wait_until([&] { return *unshared || exits_within(creator_, 0); }) ||
		    *unshared != 1) {
			error_ = *unshared ? -*unshared : ECHILD;
			return;
		}
		ns_ = open(creator_);
		error_ = ns_.valid() ? 0 : errno;
	}

	int error() const { return error_; }
	const Fd &ns() const { return ns_; }
	Child &creator() { return creator_; }

private:
	Child creator_;
	Fd ns_;
	int error_ = 0;
};

#endif /* SET_TID_LIB_INITLESS_NS_HPP */
