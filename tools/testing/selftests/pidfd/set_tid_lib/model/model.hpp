/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model of the machine: namespaces and their owners, the callers'
 * capabilities, the PIDs in use and the automatic sequences. What the kernel
 * must answer is in rules.hpp.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_MODEL_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_MODEL_HPP

#include "call.hpp"
#include "../pids.hpp"
#include "../proc.hpp"

#include <sys/types.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace model
{
constexpr pid_t reserved = 300; /* where automatic PIDs start again after pid_max */
constexpr pid_t room = 300; /* so many pid_min has to leave below pid_max, or it does not apply */

struct UserNs {
	int parent;
	int level;
};

struct PidNs {
	int parent = -1;
	int level = 0;
	int owner = 0; /* a user namespace */
	pid_t pid_max = 0; /* its own, if it has one */
	pid_t pid_min = 1;
	enum { unborn, alive, dead } state = alive; /* of its init */
	bool private_to_actor = false;
	std::map<pid_t, int> held; /* the PIDs in use, and by how many */
	/*
	 * The values that ns_last_pid may have. There is one, and more after calls
	 * that may or may not have used up a PID. The set is empty, and so anything
	 * is possible, where others create processes.
	 */
	std::set<pid_t> last;
};

struct Actor {
	int active = 0; /* the PID namespace that it is in */
	int target = 0; /* the one that its children are created in */
	int user = 0; /* the user namespace that it is in */
	int joined = 0; /* the PID namespace whose owner that is */
	enum Power { full, none, admin, checkpoint, nobody } power = full;
};

/* The PIDs that all workers request, and the range that one of them has alone. */
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
	pid_t pid_max = 0; /* of level 0, and of all that have none of their own */
	pid_t new_pid_max = 0; /* what a new namespace has of its own, if anything */
	Shares shares;
	std::set<pid_t> foreign; /* PIDs of others at level 0 */
	bool cgroups = false;
	bool signal_with_flags = false; /* an exit_signal of 65 to 255 is refused with the flags */

	/* No PID of the namespace reaches this. */
	pid_t end(const PidNs &ns) const { return ns.pid_max ? ns.pid_max : pid_max; }

	/* The namespaces from the target out to level 0. */
	std::vector<int> levels(int target) const
	{
		std::vector<int> list;

		for (; target >= 0; target = spaces[target].parent)
			list.push_back(target);
		return list;
	}

	/* Whether a PID namespace is another one or inside of it. */
	bool is_inside_space(int space, int outer) const
	{
		while (space > outer)
			space = spaces[space].parent;
		return space == outer;
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
	/* Has one of the two capabilities in a user namespace, by capabilities(7). */
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

	/* 28: no automatic PID of the namespace is below this. */
	pid_t floor(const PidNs &ns) const { return end(ns) - ns.pid_min >= room ? ns.pid_min : 1; }

	/* The automatic PID that comes after this one, or 0. */
	pid_t automatic(const PidNs &ns, pid_t last) const
	{
		const pid_t first = std::max(floor(ns), last + 1 > reserved ? reserved : 1);
		const pid_t start = std::max(last + 1, first);

		for (pid_t pid : { start, first }) {
			while (pid < end(ns) && ns.held.count(pid))
				pid++;
			if (pid < end(ns))
				return pid;
		}
		return 0;
	}

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

	std::string check(const Actor &a, bool init, const Pids &asked, const Pids &got);
	void failed_late(const Actor &a, bool init, const Pids &asked);
};

/*
 * Checks the PIDs of a child that the kernel has created, and moves the automatic
 * sequences. Returns what is wrong, or nothing.
 */
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
		if (got[i] < floor(ns) || got[i] >= end(ns) || shares.is_reserved(got[i]))
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

/* A claim was made and rolled back: it may have used up automatic PIDs. */
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
