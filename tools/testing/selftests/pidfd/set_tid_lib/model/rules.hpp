/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The answers that the kernel may give to a call, by the rules in
 * Documentation/userspace-api/set_tid.rst. The checks are in the order in which
 * the kernel makes them; numbers in comments are the rows there.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RULES_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RULES_HPP

#include "model.hpp"
#include "../cgroup.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../requirement.hpp"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <sys/types.h>

#include <algorithm>
#include <set>
#include <vector>

namespace model
{
/* The answers that are right: errnos, 0 for success. */
using Answers = std::set<int>;

struct Prediction {
	Answers answers;
	bool after_claim = false; /* the call fails after its claim */
};

/* 3, 4, 5: the size of the structure, and set_tid and set_tid_size together. */
inline int check_structure(const Call &c, const clone_args &seen)
{
	if (c.size < CLONE_ARGS_SIZE_VER0)
		return EINVAL;
	if (c.size > size_t(sysconf(_SC_PAGESIZE)) || (c.tail && c.size > sizeof(seen)))
		return E2BIG;
	if (!seen.set_tid != !seen.set_tid_size || seen.set_tid_size > max_requested)
		return EINVAL;
	return 0;
}

/* The exit signal and the number of the cgroup, 6, then flags and stack. */
inline int check_values(const Model &m, const Call &c, const clone_args &seen)
{
	const uint64_t flags = seen.flags;

	if (seen.exit_signal > (m.signal_with_flags ? 255 : 64))
		return EINVAL;
	if (flags & CLONE_INTO_CGROUP && (seen.cgroup > INT_MAX || c.size < CLONE_ARGS_SIZE_VER2))
		return EINVAL;
	if (seen.set_tid && c.array != Array::readable)
		return EFAULT;

	if (seen.exit_signal > 64)
		return EINVAL;
	if (flags & ~(CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | UINT32_MAX) ||
	    flags & CLONE_DETACHED)
		return EINVAL;
	if (flags & CLONE_SIGHAND && flags & CLONE_CLEAR_SIGHAND)
		return EINVAL;
	if (flags & (CLONE_THREAD | CLONE_PARENT) && seen.exit_signal)
		return EINVAL;
	if (!seen.stack != !seen.stack_size)
		return EINVAL;
	return 0;
}

/* What clone3() checks before it allocates a PID. */
inline int check_before_pid(const Model &m, const Actor &a, uint64_t flags)
{
	const bool init = flags & CLONE_NEWPID;

	if (flags & CLONE_NEWUSER && flags & CLONE_FS)
		return EINVAL;
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return EINVAL;
	if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
		return EINVAL;
	if (flags & CLONE_THREAD && (flags & CLONE_NEWUSER || init || a.active != a.target))
		return EINVAL;
	if (init && !(flags & CLONE_NEWUSER) && !m.has_admin(a))
		return EPERM;
	if (init && a.active != a.target)
		return EINVAL;
	if (init && !m.is_inside(a.user, m.spaces[a.target].owner))
		return EINVAL;
	if (init && m.spaces[a.target].level == max_pid_ns_level)
		return ENOSPC;
	return 0;
}

/* 7 to 10: how many PIDs, and for each level its value and the capability. */
inline int check_pids(const Model &m, const Actor &a, uint64_t flags, const Pids &pids)
{
	const bool init = flags & CLONE_NEWPID;
	const std::vector<int> levels = m.levels(a.target);

	if (pids.size() > levels.size() + init)
		return EINVAL;
	for (size_t i = 0; i < pids.size(); i++) {
		/* The new namespace is owned by the new user namespace, or the caller's. */
		const bool its_own = i < init;
		const PidNs *ns = its_own ? nullptr : &m.spaces[levels[i - init]];

		if (pids[i] < 1 || (!its_own && pids[i] >= m.end(*ns)))
			return EINVAL;
		if (pids[i] != 1 && (its_own || ns->state == PidNs::unborn))
			return EINVAL;
		if (its_own ? !(flags & CLONE_NEWUSER) && !m.may_choose(a, a.user) :
			      !m.may_choose(a, ns->owner))
			return EPERM;
	}
	return 0;
}

/* Whether there is an automatic PID left, wherever the sequence is. */
inline bool has_automatic(const Model &m, const PidNs &ns)
{
	return std::any_of(ns.last.begin(), ns.last.end(),
			   [&](pid_t last) { return m.automatic(ns, last) != 0; });
}

/* 11 to 13: the claim itself, for a request that is valid. */
inline Answers claim(const Model &m, const std::vector<int> &levels, const Pids &pids, bool init)
{
	Answers also;
	size_t i = init; /* PID 1 of a new namespace is free */

	for (int space : levels) {
		const PidNs &ns = m.spaces[space];
		const pid_t pid = i < pids.size() ? pids[i] : 0;

		i++;
		if (pid && ns.held.count(pid)) {
			also.insert(EEXIST);
			return also;
		}
		if (ns.state == PidNs::dead) {
			also.insert(ENOMEM);
			return also;
		}
		if (pid && m.shares.is_contended(pid))
			also.insert(EEXIST);
		if (pid)
			continue;
		if (ns.last.empty()) {
			/* Others may have all of the few that are left. */
			if (m.end(ns) < 1000)
				also.insert(EAGAIN);
			continue;
		}
		if (!has_automatic(m, ns)) {
			also.insert(EAGAIN);
			return also;
		}
	}
	also.insert(0);
	return also;
}

/*
 * The answers to a call with this structure, of which the kernel sees only a
 * part, and these PIDs.
 */
inline Prediction predict(const Model &m, const Actor &a, const Call &c, const clone_args &seen,
			  const Pids &pids)
{
	int error = check_structure(c, seen);

	if (!error)
		error = check_values(m, c, seen);
	if (!error)
		error = check_before_pid(m, a, seen.flags);
	if (!error)
		error = check_pids(m, a, seen.flags, pids);
	if (error)
		return { { error } };

	Prediction p = { claim(m, m.levels(a.target), pids, seen.flags & CLONE_NEWPID) };
	/* What fails after the claim. */
	if (p.answers.count(0) && (c.bad_pidfd || seen.flags & CLONE_INTO_CGROUP)) {
		p.after_claim = true;
		p.answers.erase(0);
		p.answers.insert(c.bad_pidfd ? EFAULT : EBADF);
	}
	return p;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RULES_HPP */
