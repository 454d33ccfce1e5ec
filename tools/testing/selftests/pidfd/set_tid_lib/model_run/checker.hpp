/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares what the kernel did with the model, and keeps the model up to date.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHECKER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHECKER_HPP

#include "../model/words.hpp"
#include "exchange.hpp"
#include "outcome.hpp"
#include "../errno.hpp"
#include "../fd.hpp"
#include "../pids.hpp"
#include "../proc.hpp"

#include <errno.h>
#include <sched.h>
#include <sys/types.h>

#include <deque>
#include <string>
#include <utility>

namespace model
{
/* The namespace without an init that an actor's children are created in, if there is one. */
struct NewTarget {
	bool exists;
	int parent, owner;
	const Fd *entered; /* a null pointer if the actor creates it */
};

/*
 * An actor and its worker both have a checker, the actor's being a copy that it has
 * inherited. Both compare each result: the actor stops at the first mismatch, and the
 * worker finds the same one and reports it.
 */
class Checker {
public:
	Checker(Model model, Outcome &outcome) : model_(std::move(model)), outcome_(outcome) {}
	Checker(const Checker &) = delete;

	Model &model() { return model_; }
	/* From now on this is the actor's. */
	void leave_reports_to_worker() { in_actor_ = true; }

	/* Always returns false. */
	bool mismatch(const std::string &text)
	{
		if (in_actor_)
			return false;
		for (const Made &made : recent_) {
			outcome_.add(in_words(model_, made.actor, made.call) + " = " +
				     (made.ret < 0 ? errno_name(-made.ret) : to_string(made.pids)));
		}
		outcome_.add("mismatch: " + text);
		outcome_.mismatch = true;
		return false;
	}

	/* A child that the worker has created, and the ns_last_pid that it writes, if any. */
	bool born(int space, const Pids &pids, pid_t last)
	{
		Actor creator;

		creator.target = space;
		const std::string wrong = model_.check(creator, false, {}, pids);
		if (!wrong.empty())
			return mismatch("an actor in namespace " + std::to_string(space) + " " +
					wrong + ": " + to_string(pids));
		model_.hold(space, pids);
		if (last)
			model_.spaces[space].last = { last };
		return true;
	}

	/* Adds the actor's new target to the model. Returns the actor with that target. */
	Actor enter(Actor a, const NewTarget &target)
	{
		if (target.exists) {
			PidNs ns;

			ns.parent = target.parent;
			ns.level = model_.spaces[target.parent].level + 1;
			ns.owner = target.owner;
			ns.pid_max = model_.new_pid_max;
			ns.state = PidNs::unborn;
			ns.private_to_actor = true;
			ns.last = { 0 };
			a.target = model_.spaces.size();
			model_.spaces.push_back(ns);
		}
		return a;
	}
	/* Removes it, with the init that is left there. */
	void leave(const Actor &a, const NewTarget &target)
	{
		model_.release(a.target, init_);
		init_.clear();
		if (target.exists)
			model_.spaces.pop_back();
	}
	/* The init of the new target, if a call has created one that stays. */
	const Pids &init() const { return init_; }

	/* Keeps the last calls for the report of a mismatch. */
	void remember(const Actor &a, const Call &c, const Result &result)
	{
		recent_.push_back({ a, c, result.ret, result.child.get() });
		if (recent_.size() > 20)
			recent_.pop_front();
	}

	/* Compares a result with the model, and updates the model. */
	bool compare(const Actor &a, const Call &c, const clone_args &seen, const Result &result)
	{
		const Pids asked = requested(c, seen);
		const Prediction p = predict(model_, a, c, seen, asked);
		const bool init = c.flags & CLONE_NEWPID;
		const int error = result.ret < 0 ? -result.ret : 0;

		if (!p.answers.count(error)) {
			if (error == EEXIST && taken_by_others(a, init, asked))
				return disturbed();
			return mismatch(std::string(errno_name(error)) + ", is to be " +
					in_words(p.answers));
		}
		if (!error)
			return compare_child(a, c, asked, result);
		if (p.after_claim)
			model_.failed_late(a, init, asked);
		return true;
	}

private:
	struct Made {
		Actor actor;
		Call call;
		long ret;
		Pids pids;
	};

	bool compare_child(const Actor &a, const Call &c, const Pids &asked, const Result &result)
	{
		const bool init = c.flags & CLONE_NEWPID;
		const Pids got = result.child.get();
		PidNs &target = model_.spaces[a.target];

		const std::string wrong = model_.check(a, init, asked, got);
		if (!wrong.empty())
			return mismatch("the child " + wrong);
		const size_t depth = target.level - model_.spaces[a.active].level;
		if (got[depth + init] != result.ret)
			return mismatch("returned " + std::to_string(result.ret));
		if (target.state == PidNs::unborn)
			target.state = c.role == Role::init ? PidNs::alive : PidNs::dead;
		if (c.role == Role::init) {
			init_ = got;
			model_.hold(a.target, got);
		}
		if (c.flags & CLONE_PARENT)
			return stays(a, got, result.member);
		return true;
	}

	/* A child that stays, and the member of its group or session if it leads one. */
	bool stays(const Actor &a, const Pids &pids, const Report &member)
	{
		bool right = true;

		model_.hold(a.target, pids);
		if (member.count > 0) {
			Actor creator;

			creator.target = a.target;
			const std::string wrong = model_.check(creator, false, {}, member.get());
			if (!wrong.empty())
				right = mismatch("the member " + wrong + ": " +
						 to_string(member.get()));
			model_.hold(a.target, member.get());
		} else if (member.count < 0 &&
			   !claim(model_, model_.levels(a.target), {}, false).count(-member.count)) {
			right = mismatch("a member cannot be created");
		}
		return right;
	}

	/*
	 * Others create processes at level 0. An actor in another namespace does not see
	 * their PIDs: it stops in either case, and the worker finds out.
	 */
	bool taken_by_others(const Actor &a, bool init, const Pids &asked) const
	{
		const size_t level_0 = model_.levels(a.target).size() - 1 + init;

		return level_0 < asked.size() && pid_in_use(asked[level_0]) &&
		       !model_.spaces[0].held.count(asked[level_0]);
	}
	bool disturbed()
	{
		outcome_.disturbed += !in_actor_;
		return false;
	}

	Model model_;
	Outcome &outcome_;
	bool in_actor_ = false;
	std::deque<Made> recent_;
	Pids init_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHECKER_HPP */
