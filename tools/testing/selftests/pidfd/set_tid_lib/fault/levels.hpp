/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Children and PIDs at the levels of a chain of namespaces.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LEVELS_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LEVELS_HPP

#include "aftermath.hpp"
#include "../fd.hpp"
#include "../pidns.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../request.hpp"
#include "../spawn.hpp"

#include <sys/wait.h>

#include <memory>

/* Free PIDs for the levels from innermost out to 0, far from the automatic ones. */
inline Pids pids_for_levels(int innermost)
{
	Pids pids;

	for (int level = innermost; level > 0; level--)
		pids.push_back(pid_max() - 2 - level);
	pids.push_back(find_free_pid());
	return pids;
}

/* Creates a child with these PIDs in a namespace and outwards; 0 or an errno. */
inline int claim_in(const Fd &ns, const Pids &pids)
{
	const ChildrenIn scope(ns);

	return scope.error() ? scope.error() : Request{}.pids(pids).attempt();
}

/* A child in a namespace, to read the state of its sequences and of those further out. */
inline Probe probe_in(const Fd &ns)
{
	const ChildrenIn scope(ns);

	return scope.error() ? Probe{ scope.error() } : probe();
}

/* From now on children are created in the deepest level of a chain, if it has any. */
inline std::unique_ptr<ChildrenIn> enter(const NsChain &chain)
{
	return chain.depth() ? std::make_unique<ChildrenIn>(chain.deepest()) : nullptr;
}

/*
 * Moves the automatic sequences of all levels but 0 to where the IDR has no leaf yet.
 * It goes from the innermost level out, because a process at a level uses up a PID at
 * each level further out.
 */
inline void to_new_nodes(const NsChain &chain, std::unique_ptr<ChildrenIn> &scope,
			 Aftermath &aftermath)
{
	constexpr pid_t leaf = 64;
	static pid_t last = 5 * leaf - 1;
	pid_t outermost = 0;

	scope.reset();
	last += leaf;
	for (int level = chain.depth(); level; level--) {
		Spawned task = chain.run_at(level, [&] { return set_last_pid(last); });

		outermost = task.child.pid();
		task.child.wait();
	}
	aftermath.sequences_are_at(last, chain.depth(), outermost);
	scope = enter(chain);
}

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_LEVELS_HPP */
