/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A worker: see below.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORKER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORKER_HPP

#include <deque>
#include <optional>

#include "caller.hpp"
#include "generator.hpp"
#include "words.hpp"
#include "world.hpp"

namespace model
{
/*
 * A worker looks after the model and what is held; calls are made by actors,
 * one after the other. An actor takes the model with it and stops at the first
 * mismatch. The worker follows, with the same chance and the actor's results.
 */
class Worker {
public:
	Worker(Model model, const World &world, Outcome &outcome, Table *table, int number)
		: model_(std::move(model)), world_(world), outcome_(outcome),
		  alone_(!model_.shares.own), caller_(table, number)
	{
	}
	Worker(const Worker &) = delete;
	~Worker()
	{
		while (!holders_.empty())
			release(holders_.size() - 1);
	}

	/* Returns false if that is the end of it. */
	bool run(const Batch &batch)
	{
		Random random(batch.seed);

		while (holders_.size() > 12 || (!holders_.empty() && random.percent(50)))
			release(random.below(holders_.size()));

		const Actor actor = draw_actor(random);
		const bool fresh = actor.active == actor.target && random.percent(25) &&
				   model_.spaces[actor.active].level < max_pid_ns_level &&
				   model_.is_inside(actor.user, model_.spaces[actor.active].owner);
		const bool enters = !fresh && random.percent(25) &&
				    model_.spaces[actor.target].level < max_pid_ns_level;
		const bool writes = alone_ && actor.active && random.percent(25);
		const pid_t last = random.percent(30) ? model_.pid_max - 1 - random.below(3) :
							1 + random.below(model_.pid_max - 1);
		const bool limits = alone_ && random.percent(12);
		/* Level 0 has others. It needs a sequence that is past the first PIDs. */
		pid_t limit = random.of<pid_t>({ 301, 302, 303, 320, 1000, 5000 });
		if (last_pid() < reserved || !may_starve)
			limit = std::max(limit, 1000);

		memset(static_cast<void *>(&*exchange_), 0, sizeof(Exchange));
		std::optional<Entered> entered;
		if (enters && !create_for(actor, entered))
			return false;
		if (enters && random.percent(50))
			end_creator(*entered);
		/* Where the actor's target is none of the world's. */
		const New target = { fresh || enters, enters ? actor.target : actor.active,
				     enters ? model_.spaces[actor.target].owner : actor.user,
				     enters ? &entered->ns.ns() : nullptr };
		Spawned task = world_.run_in(actor.active, [&] {
			return act(batch, actor, target, writes ? last : 0);
		});
		if (task.error)
			return mismatch("an actor in namespace " + std::to_string(actor.active) +
					" cannot be created: " + errno_name(task.error));
		const Pids pids = nspids(task.child);
		if (!born(actor, pids, writes ? last : 0))
			return false;
		const std::string twice = caller_.mark(model_, actor.active, pids);
		if (!twice.empty())
			return mismatch(twice);
		while (!exchange_->ready) {
			if (exits_within(task.child, 0))
				return mismatch(
					std::string("an actor cannot become what it is to be: ") +
					exchange_->wrong);
			sched_yield();
		}

		ExitStatus status;
		{
			Sysctl pid_max("kernel/pid_max");

			if (limits && limit < model_.pid_max && !pid_max.set(limit))
				exchange_->start = limit;
			else
				exchange_->start = model_.pid_max;
			status = task.child.wait_zombie();
		}
		const bool right = follow(batch, actor, target, status);
		caller_.unmark(model_, actor.active, pids);
		task.child.wait();
		model_.release(actor.active, pids);
		if (enters)
			end_creator(*entered);
		return right;
	}

private:
	/* A child of the worker that is there until it is released. */
	struct Holder {
		int target;
		std::vector<Pids> pids; /* of a process, or of a leader that has gone and a member */
	};

	/* A namespace that somebody has created for an actor to enter. */
	struct Entered {
		InitlessNs ns;
		int space; /* above it, where the creator is */
		Pids creator;
	};

	/* A namespace without an init that an actor is the only one in. */
	struct New {
		bool is_target;
		int parent, owner;
		const Fd *entered; /* or else the actor creates it */
	};

	struct Made {
		Actor actor;
		Call call;
		long ret;
		Pids pids;
	};

	/* The actor leaves it to the worker to say so. */
	bool mismatch(const std::string &text)
	{
		if (acting_)
			return false;
		for (const Made &made : recent_) {
			outcome_.add(in_words(model_, made.actor, made.call) + " = " +
				     (made.ret < 0 ? errno_name(-made.ret) : to_string(made.pids)));
		}
		outcome_.add("mismatch: " + text);
		outcome_.mismatch = true;
		return false;
	}

	Actor draw_actor(Random &random) const
	{
		const size_t spaces = model_.spaces.size();
		Actor a;

		a.active = random.percent(55) ? 0 : random.below(spaces);
		do
			a.target = random.percent(25) ? a.active : random.below(spaces);
		while (!is_inside(a.target, a.active));
		if (random.percent(45)) {
			/* The target's owner, or that of a level further out. */
			a.joined = a.target;
			while (a.joined && random.percent(40))
				a.joined = model_.spaces[a.joined].parent;
			a.user = model_.spaces[a.joined].owner;
		}
		if (random.percent(40))
			a.power = random.of(
				{ Actor::none, Actor::admin, Actor::checkpoint, Actor::nobody });
		return a;
	}
	bool is_inside(int space, int outer) const
	{
		while (space > outer)
			space = model_.spaces[space].parent;
		return space == outer;
	}

	/* The actor itself is a child like any other. */
	bool born(const Actor &actor, const Pids &pids, pid_t last)
	{
		Actor creator;

		creator.target = actor.active;
		const std::string wrong = model_.check(creator, false, {}, pids);
		if (!wrong.empty())
			return mismatch("an actor in namespace " + std::to_string(actor.active) +
					" " + wrong + ": " + to_string(pids));
		model_.hold(actor.active, pids);
		if (last)
			model_.spaces[actor.active].last = { last };
		return true;
	}

	/* So is somebody who creates a namespace below the actor's target. */
	bool create_for(const Actor &actor, std::optional<Entered> &entered)
	{
		const int space = actor.target;
		Actor creator;

		creator.active = space;
		entered = { world_.below(space, model_.spaces[space].owner), space, {} };
		if (entered->ns.error())
			return mismatch("a namespace below " + std::to_string(space) +
					" cannot be entered: " + errno_name(entered->ns.error()));
		entered->creator = nspids(entered->ns.creator());
		if (!born(creator, entered->creator, 0))
			return false;
		const std::string twice = caller_.mark(model_, space, entered->creator);
		return twice.empty() || mismatch(twice);
	}
	void end_creator(Entered &entered)
	{
		caller_.unmark(model_, entered.space, entered.creator);
		entered.ns.creator().end();
		model_.release(entered.space, entered.creator);
		entered.creator.clear();
	}

	bool fails_at(const char *step)
	{
		snprintf(exchange_->wrong, sizeof(exchange_->wrong), "%s: %s", step,
			 errno_name(errno));
		return false;
	}

	/* Becomes what the actor is to be. */
	bool become(const Actor &a, const New &target, pid_t last)
	{
		static const std::map<Actor::Power, std::initializer_list<int>> kept = {
			{ Actor::none, {} },
			{ Actor::admin, { CAP_SYS_ADMIN } },
			{ Actor::checkpoint, { CAP_CHECKPOINT_RESTORE } },
		};

		/* The children's exit signals. */
		signal(SIGUSR1, SIG_IGN);
		signal(64, SIG_IGN);
		if (last && set_last_pid(last))
			return fails_at("ns_last_pid");
		const bool created = target.is_target && !target.entered;
		if (target.entered && setns(target.entered->get(), CLONE_NEWPID))
			return fails_at("setns() to a namespace without an init");
		if (!target.is_target && a.target != a.active &&
		    setns(world_.ns(a.target).get(), CLONE_NEWPID))
			return fails_at("setns() to the PID namespace");
		if (a.user && setns(world_.ns(a.joined).get(), CLONE_NEWUSER))
			return fails_at("setns() to the user namespace");
		if (created && unshare(CLONE_NEWPID))
			return fails_at("unshare()");
		if (a.power == Actor::nobody && seteuid(65534))
			return fails_at("seteuid()");
		if (kept.count(a.power) && keep_capabilities(kept.at(a.power)))
			return fails_at("the capabilities");
		die_with_parent();
		return true;
	}

	/* The actor's target, if it is one without an init, is in its model only. */
	Actor enter_new(Actor a, const New &target)
	{
		if (target.is_target) {
			PidNs ns;

			ns.parent = target.parent;
			ns.level = model_.spaces[target.parent].level + 1;
			ns.owner = target.owner;
			ns.state = PidNs::unborn;
			ns.private_to_actor = true;
			ns.last = { 0 };
			a.target = model_.spaces.size();
			model_.spaces.push_back(ns);
		}
		return a;
	}
	/* With what is left there. */
	void leave_new(const Actor &a, const New &target)
	{
		model_.release(a.target, init_);
		init_.clear();
		if (target.is_target)
			model_.spaces.pop_back();
	}

	Call draw(const Actor &a, uint64_t seed)
	{
		Random random(seed);
		Call c = draw_call(model_, a, random);
		const PidNs &target = model_.spaces[a.target];

		if (!target.private_to_actor)
			return c;
		/* Who would stay there could not be released. */
		if (c.flags & CLONE_PARENT) {
			c.flags &= ~CLONE_PARENT;
			c.exit_signal = SIGCHLD;
			c.role = Role::leaves;
		}
		/* But the first process may: with memory of its own, and nobody waits for it. */
		if (target.state == PidNs::unborn && c.role == Role::leaves &&
		    !(c.flags & (CLONE_NEWPID | CLONE_THREAD)) && random.percent(40)) {
			c.flags &=
				~(CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | CLONE_FS | CLONE_FILES);
			c.role = Role::init;
		}
		return c;
	}

	/* What the actor does. */
	int act(const Batch &batch, const Actor &actor, const New &target, pid_t last)
	{
		acting_ = true;
		if (!born(actor, nspids_of_self(), last) || !become(actor, target, last))
			return 99;
		exchange_->ready = true;
		while (!exchange_->start)
			sched_yield();
		model_.pid_max = exchange_->start;
		const Actor a = enter_new(actor, target);
		const int status = make_calls(batch, a);

		if (!init_.empty())
			end_init(a);
		return status;
	}
	int make_calls(const Batch &batch, const Actor &a)
	{
		for (uint64_t seed : batch.calls) {
			const Call c = draw(a, seed);
			Result &result = exchange_->results[exchange_->done];
			const std::string wrong = caller_.make(model_, a, c, result);

			++exchange_->done;
			if (!wrong.empty()) {
				snprintf(exchange_->wrong, sizeof(exchange_->wrong), "%s",
					 wrong.c_str());
				return 1;
			}
			if (!judge(a, c, result))
				return 1;
			if (c.role == Role::init && result.ret > 0)
				init_pid_ = result.ret;
		}
		return 0;
	}
	/* The init of the actor's own target: nobody else would. */
	void end_init(const Actor &a)
	{
		caller_.unmark(model_, a.target, init_);
		kill(init_pid_, SIGKILL);
		while (waitpid(init_pid_, nullptr, __WALL) < 0 && errno == EINTR)
			;
		caller_.given_back(model_, a.target, init_);
	}

	/* And what the worker makes of it. */
	bool follow(const Batch &batch, const Actor &actor, const New &target,
		    const ExitStatus &status)
	{
		const pid_t usual = std::exchange(model_.pid_max, exchange_->start);
		const Actor a = enter_new(actor, target);
		bool right = true;

		for (int i = 0; i < exchange_->done && right; i++) {
			const Call c = draw(a, batch.calls[i]);
			const Result &result = exchange_->results[i];

			recent_.push_back({ a, c, result.ret, result.child.get() });
			if (recent_.size() > 20)
				recent_.pop_front();
			keep(a, c, result);
			right = judge(a, c, result);
			outcome_.last_calls = i + 1;
			++outcome_.calls;
			outcome_.successes += result.ret > 0;
		}
		leave_new(a, target);
		model_.pid_max = usual;
		/* Leaders have left by now: their PIDs are those of what they led. */
		for (const Holder &holder : holders_) {
			if (holder.pids.size() > 1)
				waitpid(holder.pids[0].back(), nullptr, __WALL);
		}
		if (right && *exchange_->wrong)
			return mismatch(exchange_->wrong);
		if (right && status.code)
			return mismatch("an actor has ended with " + std::to_string(status.code) +
					", signal " + std::to_string(status.signal));
		return right;
	}

	/*
	 * Who stays is to be released, whatever the model makes of it: a namespace
	 * whose init is killed waits until its zombies are reaped.
	 */
	void keep(const Actor &a, const Call &c, const Result &result)
	{
		if (!(c.flags & CLONE_PARENT) || result.child.count < 1)
			return;
		Holder holder = { a.target, { result.child.get() } };
		if (result.member.count > 0)
			holder.pids.push_back(result.member.get());
		holders_.push_back(std::move(holder));
	}

	/* Compares a result with the model, and brings that up to date. */
	bool judge(const Actor &a, const Call &c, const Result &result)
	{
		const clone_args seen = visible(c, caller_.args(c));
		const Pids asked = requested(c, seen), got = result.child.get();
		const Prediction p = model_.predict(a, c, seen, asked);
		const bool init = c.flags & CLONE_NEWPID;
		const int error = result.ret < 0 ? -result.ret : 0;
		PidNs &target = model_.spaces[a.target];

		if (!p.answers.count(error)) {
			if (error == EEXIST && taken_by_others(a, init, asked))
				return disturbed();
			return mismatch(std::string(errno_name(error)) + ", is to be " +
					in_words(p.answers));
		}
		if (error) {
			if (p.after_claim)
				model_.failed_late(a, init, asked);
			return true;
		}

		const std::string wrong = model_.check(a, init, asked, got);
		if (!wrong.empty())
			return mismatch("the child " + wrong);
		const size_t depth = model_.spaces[a.target].level - model_.spaces[a.active].level;
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
			   !model_.claim(model_.levels(a.target), {}, false).count(-member.count)) {
			right = mismatch("a member cannot be created");
		}
		return right;
	}

	/*
	 * At level 0 there are others: they come and go. An actor elsewhere does not
	 * see them; it stops here in either case, and the worker decides.
	 */
	bool taken_by_others(const Actor &a, bool init, const Pids &asked) const
	{
		const size_t level_0 = model_.levels(a.target).size() - 1 + init;

		return level_0 < asked.size() && pid_in_use(asked[level_0]) &&
		       !model_.spaces[0].held.count(asked[level_0]);
	}
	bool disturbed()
	{
		outcome_.disturbed += !acting_;
		return false;
	}

	void release(size_t i)
	{
		const Holder holder = holders_[i];

		holders_.erase(holders_.begin() + i);
		for (const Pids &pids : holder.pids)
			caller_.unmark(model_, holder.target, pids);
		/* A leader has been reaped already, and nothing else is its PID's. */
		kill(holder.pids.back().back(), SIGKILL);
		while (waitpid(holder.pids.back().back(), nullptr, __WALL) < 0 && errno == EINTR)
			;
		for (const Pids &pids : holder.pids) {
			caller_.given_back(model_, holder.target, pids);
			model_.release(holder.target, pids);
		}
	}

	Model model_;
	const World &world_;
	Outcome &outcome_;
	const bool alone_;
	bool acting_ = false;
	const Shared<Exchange> exchange_;
	Caller caller_;
	std::vector<Holder> holders_;
	std::deque<Made> recent_;
	/* The init of an actor's target, if it is one that only the actor has. */
	Pids init_;
	pid_t init_pid_ = 0;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_WORKER_HPP */
