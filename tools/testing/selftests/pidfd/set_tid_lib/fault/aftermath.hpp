/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find out what a failed call left behind: see class Aftermath.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_FAULT_AFTERMATH_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_FAULT_AFTERMATH_HPP

#include "../cpu.hpp"
#include "../errno.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../request.hpp"
#include "../spawn.hpp"

#include <limits.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <string>

/* A child that was created and reaped, to read the state of the sequences. */
struct Probe {
	int error = 0; /* why there was none, or 0 */
	Pids pids = {};
	/* The inode number of its pidfd: see Aftermath. */
	ino_t claim = 0;
};

inline Probe probe(const Pids &pids = {})
{
	Spawned c = Request{}.pids(pids).flags(CLONE_VM).spawn([] { return 0; });
	struct stat st = {};

	if (c.error)
		return { c.error };
	fstat(c.child.pidfd().get(), &st);
	return { 0, nspids(c.child), st.st_ino };
}

/* The same while the caller is on this processor. */
inline Probe probe_on(int cpu)
{
	cpu_set_t usual;

	if (sched_getaffinity(0, sizeof(usual), &usual))
		return probe();
	stay_on_cpu(cpu);
	Probe result = probe();
	sched_setaffinity(0, sizeof(usual), &usual);
	return result;
}

/* The last processor that the caller may be on and is not, or else its own. */
inline int another_cpu(int own)
{
	cpu_set_t usual;
	int cpu = CPU_SETSIZE;

	if (sched_getaffinity(0, sizeof(usual), &usual))
		return own;
	while (--cpu >= 0 && (!CPU_ISSET(cpu, &usual) || cpu == own)) {
	}
	return cpu < 0 ? own : cpu;
}

/*
 * What a failed call left behind. A claim that failed must not move an automatic
 * sequence. A claim that was made and rolled back may use up one number, at every
 * level with an automatic PID.
 *
 * The next child shows it: its PIDs show how far the sequences are, and its pidfd
 * shows how many claims were made on the whole machine. In Linux 6.9 to 6.13 each
 * claim that is made, and nothing else, takes the next inode number for its pidfds.
 * On other kernels, where each processor has numbers of its own, the class knows the
 * sequences only.
 *
 * Nobody else creates processes in the namespaces of the test. In the initial
 * namespace others may; the class counts how often they did.
 */
class Aftermath {
public:
	explicit Aftermath(const Pids &requested) : requested_(requested)
	{
		for (int tries = 0; tries < 3 && !counts_claims_; tries++) {
			const int own = sched_getcpu();
			const Probe first = probe_on(another_cpu(own));

			last_ = probe_on(own);
			counts_claims_ = last_.claim != first.claim &&
					 moved(last_.claim, first.claim) ==
						 moved(outermost(last_), outermost(first));
		}
	}

	struct Found {
		std::string wrong; /* or nothing */
		bool claimed = false; /* the claim was made, and rolled back */
	};

	/* Call this after every call that failed, */
	Found look()
	{
		const Probe before = last_;
		Found found;
		int strangers = INT_MAX;

		resync();
		if (last_.error)
			return { "no child can be created", false };
		for (const bool claimed : { false, true }) {
			const int others = strangers_if(claimed, before);

			if (others >= 0 && others < strangers) {
				strangers = others;
				found.claimed = claimed;
			}
		}
		if (strangers == INT_MAX)
			found.wrong = "from " + to_string(before.pids) + " to " +
				      to_string(last_.pids) + " with " +
				      std::to_string(moved(last_.claim, before.claim) - 1) +
				      " claims in between";
		else
			disturbed_ += strangers > 0;
		if (found.wrong.empty())
			found.wrong = still_held(requested_);
		if (found.wrong.empty() && found.claimed && innermost_automatic() < outermost())
			found.wrong = still_held(used_up(before));
		return found;
	}

	/* and this after every call that succeeded. */
	void resync() { last_ = probe(); }

	/*
	 * The sequences of the levels below 0 have been set, by so many processes, the
	 * last of which was this one at level 0.
	 */
	void sequences_are_at(pid_t last, int processes, pid_t outermost)
	{
		std::fill(last_.pids.begin(), last_.pids.end() - 1, last);
		last_.pids.back() = outermost;
		last_.claim += processes;
	}

	bool counts_claims() const { return counts_claims_; }

	/* How many times somebody else created a process meanwhile. */
	int disturbed() const { return disturbed_; }

private:
	template <typename T> static int moved(T now, T before)
	{
		return static_cast<int>(now - before);
	}
	static pid_t outermost(const Probe &probe)
	{
		return probe.pids.empty() ? 0 : probe.pids.back();
	}
	size_t outermost() const { return last_.pids.size() - 1; }
	size_t innermost_automatic() const { return requested_.size(); }

	/*
	 * How many processes others have created between two children of ours, under
	 * the assumption that the call between them made its claim, or did not; -1 if
	 * the assumption is wrong.
	 */
	int strangers_if(bool claimed, const Probe &before) const
	{
		for (size_t i = 0; i < outermost(); i++) {
			const bool used = claimed && i >= innermost_automatic();

			if (last_.pids[i] != before.pids[i] + 1 + used)
				return -1;
		}
		const int used = claimed && outermost() >= innermost_automatic();
		const int passed = moved(outermost(last_), outermost(before)) - 1 - used;

		if (!counts_claims_)
			return std::max(passed, 0);
		const int others = moved(last_.claim, before.claim) - 1 - claimed;
		/* The sequence may have wrapped, or skipped PIDs that are in use. */
		if (!others && passed > 0 && passed != in_use_between(before))
			return -1;
		if (!others && passed < 0 && outermost(last_) > outermost(before))
			return -1;
		return others;
	}

	int in_use_between(const Probe &before) const
	{
		int in_use = 0;

		for (pid_t pid = outermost(before) + 1; pid < outermost(last_); pid++)
			in_use += pid_in_use(pid);
		return in_use;
	}

	/* Claims the PIDs again; the automatic ones must be the next in sequence. */
	std::string still_held(const Pids &pids)
	{
		const Probe got = probe(pids);

		if (got.error)
			return to_string(pids) + " again: " + errno_name(got.error);
		for (size_t i = 0; i < got.pids.size(); i++) {
			const bool automatic = i >= pids.size();

			if (i < outermost() || !automatic) {
				if (got.pids[i] != (automatic ? last_.pids[i] + 1 : pids[i]))
					return to_string(pids) + " again has got " +
					       to_string(got.pids);
			}
			if (automatic)
				last_.pids[i] = got.pids[i];
		}
		last_.claim = got.claim;
		return {};
	}

	/* The PIDs that the claim used. Level 0 is left out: others use its sequence, too. */
	Pids used_up(const Probe &before) const
	{
		Pids pids = requested_;

		for (size_t i = pids.size(); i < outermost(); i++)
			pids.push_back(before.pids[i] + 1);
		return pids;
	}

	const Pids requested_;
	Probe last_;
	bool counts_claims_ = false;
	int disturbed_ = 0;
};

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_FAULT_AFTERMATH_HPP */
