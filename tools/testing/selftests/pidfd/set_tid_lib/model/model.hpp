/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model: what Documentation/userspace-api/set_tid.rst makes of a call.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_MODEL_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_MODEL_HPP

#include <limits.h>

#include <map>
#include <optional>
#include <set>

#include "call.hpp"

namespace model
{
constexpr pid_t reserved = 300; /* where automatic PIDs start again */
const bool may_starve = getenv("SET_TID_MODEL_STARVE");

struct UserNs {
	int parent;
	int level;
};

struct PidNs {
	int parent = -1;
	int level = 0;
	int owner = 0; /* a user namespace */
	enum { unborn, alive, dead } state = alive;
	bool private_to_actor = false;
	std::map<pid_t, int> held; /* and how many hold it */
	/*
	 * What ns_last_pid may be: one number, but for after calls that may or
	 * may not have used up one. Nothing is known if others create
	 * processes here.
	 */
	std::set<pid_t> last;
};

struct Actor {
	int active = 0; /* the namespace that it is in */
	int target = 0; /* and that of its children */
	int user = 0;
	int joined = 0; /* the PID namespace whose owner that is */
	enum Power { full, none, admin, checkpoint, nobody } power = full;
};

/* The answers that are right: errnos, 0 for success. */
using Answers = std::set<int>;

struct Prediction {
	Answers answers;
	bool after_claim = false; /* fails there */
};

/* A PID that all workers ask for, and the range of one of them. */
struct Shares {
	pid_t contended = 0;
	int contended_count = 0;
	pid_t own = 0;
	int own_count = 0;

	bool is_contended(pid_t pid) const
	{
		return pid >= contended && pid < contended + contended_count;
	}
	bool is_reserved(pid_t pid) const { return contended && pid >= contended; }
};

struct Model {
	std::vector<UserNs> users = { { -1, 0 } };
	std::vector<PidNs> spaces = { {} };
	pid_t pid_max = 0;
	Shares shares;
	std::set<pid_t> foreign; /* at level 0 */
	bool cgroups = false;

	/* The target's levels, innermost first. */
	std::vector<int> levels(int target) const
	{
		std::vector<int> list;

		for (; target >= 0; target = spaces[target].parent)
			list.push_back(target);
		return list;
	}

	/* Whether a user namespace is another one or inside of it. */
	bool is_inside(int user, int outer) const
	{
		while (user > outer)
			user = users[user].parent;
		return user == outer;
	}
	bool has_admin(const Actor &a) const
	{
		return a.power == Actor::full || a.power == Actor::admin;
	}
	/* Either of the two, in a user namespace, as capabilities(7) has it. */
	bool may_choose(const Actor &a, int user) const
	{
		for (;; user = users[user].parent) {
			if (user == a.user)
				return a.power != Actor::none && a.power != Actor::nobody;
			if (users[user].level <= users[a.user].level)
				return false;
			/* All user namespaces have been created by uid 0. */
			if (users[user].parent == a.user && a.power != Actor::nobody)
				return true;
		}
	}

	/* The automatic PID that comes after one, or 0. */
	pid_t automatic(const PidNs &ns, pid_t last) const
	{
		const pid_t first = last + 1 > reserved ? reserved : 1;
		const pid_t start = std::max(last + 1, first);

		for (pid_t pid : { start, first }) {
			while (pid < pid_max && ns.held.count(pid))
				pid++;
			if (pid < pid_max)
				return pid;
		}
		return 0;
	}

	Prediction predict(const Actor &a, const Call &c, const clone_args &seen,
			   const Pids &pids) const;
	std::string check(const Actor &a, bool init, const Pids &asked, const Pids &got);
	void failed_late(const Actor &a, bool init, const Pids &asked);
	Answers claim(const std::vector<int> &levels, const Pids &pids, bool init) const;

	void hold(int target, const Pids &pids)
	{
		size_t i = 0;

		for (int ns : levels(target)) {
			if (i < pids.size())
				spaces[ns].held[pids[i++]]++;
		}
	}
	void release(int target, const Pids &pids)
	{
		size_t i = 0;

		for (int ns : levels(target)) {
			auto &held = spaces[ns].held;
			if (i >= pids.size())
				break;
			const auto it = held.find(pids[i++]);

			if (it != held.end() && !--it->second)
				held.erase(it);
		}
	}
};

/* The rows 11 to 13, for levels that have been judged. */
inline Answers Model::claim(const std::vector<int> &levels, const Pids &pids, bool init) const
{
	Answers also;
	size_t i = init; /* PID 1 of a new namespace is there to be had */

	for (int space : levels) {
		const PidNs &ns = spaces[space];
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
		if (pid && shares.is_contended(pid))
			also.insert(EEXIST);
		if (pid)
			continue;
		if (ns.last.empty()) {
			/* Others may have all of the few that are left. */
			if (pid_max < 1000)
				also.insert(EAGAIN);
			continue;
		}
		bool any = false;
		for (pid_t last : ns.last)
			any = any || automatic(ns, last);
		if (!any) {
			also.insert(EAGAIN);
			return also;
		}
	}
	also.insert(0);
	return also;
}

/*
 * What comes out of a call with this structure, as far as the kernel gets to
 * see it, and these PIDs, in the order in which things are looked at.
 */
inline Prediction Model::predict(const Actor &a, const Call &c, const clone_args &seen,
				 const Pids &pids) const
{
	const uint64_t flags = seen.flags;
	const bool init = flags & CLONE_NEWPID;

	/* 3, 4, 5 */
	if (c.size < CLONE_ARGS_SIZE_VER0)
		return { { EINVAL } };
	if (c.size > size_t(sysconf(_SC_PAGESIZE)) || (c.tail && c.size > sizeof(seen)))
		return { { E2BIG } };
	if (!seen.set_tid != !seen.set_tid_size || seen.set_tid_size > max_requested)
		return { { EINVAL } };

	/* The exit signal and the number of the cgroup, then 6 */
	if (seen.exit_signal > 64)
		return { { EINVAL } };
	if (flags & CLONE_INTO_CGROUP && (seen.cgroup > INT_MAX || c.size < CLONE_ARGS_SIZE_VER2))
		return { { EINVAL } };
	if (seen.set_tid && c.array != Array::readable)
		return { { EFAULT } };

	/* Flags and stack */
	if (flags & ~(CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP | UINT32_MAX) ||
	    flags & CLONE_DETACHED)
		return { { EINVAL } };
	if (flags & CLONE_SIGHAND && flags & CLONE_CLEAR_SIGHAND)
		return { { EINVAL } };
	if (flags & (CLONE_THREAD | CLONE_PARENT) && seen.exit_signal)
		return { { EINVAL } };
	if (!seen.stack != !seen.stack_size)
		return { { EINVAL } };

	/* What clone3() checks before it allocates a PID */
	if (flags & CLONE_NEWUSER && flags & CLONE_FS)
		return { { EINVAL } };
	if (flags & CLONE_THREAD && !(flags & CLONE_SIGHAND))
		return { { EINVAL } };
	if (flags & CLONE_SIGHAND && !(flags & CLONE_VM))
		return { { EINVAL } };
	if (flags & CLONE_THREAD && (flags & CLONE_NEWUSER || init || a.active != a.target))
		return { { EINVAL } };
	if (init && !(flags & CLONE_NEWUSER) && !has_admin(a))
		return { { EPERM } };
	if (init && a.active != a.target)
		return { { EINVAL } };
	if (init && !is_inside(a.user, spaces[a.target].owner))
		return { { EINVAL } };
	if (init && spaces[a.target].level == max_pid_ns_level)
		return { { ENOSPC } };

	/* 7 to 10 */
	const std::vector<int> levels = this->levels(a.target);
	if (pids.size() > levels.size() + init)
		return { { EINVAL } };
	for (size_t i = 0; i < pids.size(); i++) {
		/* The new namespace is owned by the new user namespace, or the caller's. */
		const bool its_own = i < init;
		const PidNs *ns = its_own ? nullptr : &spaces[levels[i - init]];

		if (pids[i] < 1 || pids[i] >= pid_max)
			return { { EINVAL } };
		if (pids[i] != 1 && (its_own || ns->state == PidNs::unborn))
			return { { EINVAL } };
		if (its_own ? !(flags & CLONE_NEWUSER) && !may_choose(a, a.user) :
			      !may_choose(a, ns->owner))
			return { { EPERM } };
	}

	/* 11 to 13, and what comes after the claim */
	Prediction p = { claim(levels, pids, init) };
	if (p.answers.count(0) && (c.bad_pidfd || flags & CLONE_INTO_CGROUP)) {
		p.after_claim = true;
		p.answers.erase(0);
		p.answers.insert(c.bad_pidfd ? EFAULT : EBADF);
	}
	return p;
}

/* A child has come out with these PIDs: is that right? Moves the sequences. */
inline std::string Model::check(const Actor &a, bool init, const Pids &asked, const Pids &got)
{
	const std::vector<int> levels = this->levels(a.target);

	if (got.size() != levels.size() + init)
		return "has " + std::to_string(got.size()) + " PIDs";
	if (init && got[0] != 1)
		return "is not the first process";
	for (size_t i = init; i < got.size(); i++) {
		PidNs &ns = spaces[levels[i - init]];

		if (ns.held.count(got[i]))
			return "has a PID that is in use";
		if (i < asked.size() && got[i] != asked[i])
			return "has not got what it asked for";
		if (i < asked.size())
			continue;
		if (got[i] < 1 || got[i] >= pid_max || shares.is_reserved(got[i]))
			return "has a PID out of range";
		if (ns.last.empty())
			continue;
		bool right = false;
		for (pid_t last : ns.last)
			right = right || automatic(ns, last) == got[i];
		if (!right)
			return "has not got the next PID at level " + std::to_string(ns.level) +
			       ", after " + to_string(Pids(ns.last.begin(), ns.last.end()));
		ns.last = { got[i] };
	}
	return {};
}

/* A claim was made and given back: it may have used up automatic PIDs. */
inline void Model::failed_late(const Actor &a, bool init, const Pids &asked)
{
	size_t i = init;

	for (int space : levels(a.target)) {
		PidNs &ns = spaces[space];

		if (i++ < asked.size() || ns.state == PidNs::unborn)
			continue;
		for (pid_t last : std::set<pid_t>(ns.last)) {
			if (const pid_t pid = automatic(ns, last))
				ns.last.insert(pid);
		}
	}
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_MODEL_HPP */
