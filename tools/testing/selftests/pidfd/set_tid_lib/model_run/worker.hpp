/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A worker: has actors make the calls of its batches, and checks what they did.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORKER_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORKER_HPP

#include "actor.hpp"
#include "../errno.hpp"
#include "../initless_ns.hpp"
#include "../pids.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../shared.hpp"
#include "../spawn.hpp"
#include "../sysctl.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model
{
/*
 * Has the model and the children that stay. The calls are made by actors, one after the
 * other, in processes of their own. The worker then draws the same calls from the same
 * seeds and compares the actor's results.
 */
class Worker {
public:
	Worker(Model model, const World &world, Outcome &outcome, Table *table, int number)
		: checker_(std::move(model), outcome), model_(checker_.model()), world_(world),
		  outcome_(outcome), alone_(!model_.shares.own), caller_(table, number)
	{
	}
	Worker(const Worker &) = delete;
	~Worker()
	{
		while (!holders_.empty())
			release(holders_.size() - 1);
	}

	/* Returns false if the run is over. */
	bool run(const Batch &batch)
	{
		Random random(batch.seed);

		while (holders_.size() > 12 || (!holders_.empty() && random.percent(50)))
			release(random.below(holders_.size()));

		const Task task = draw_task(model_, alone_, random);
		const Actor &actor = task.actor;
		std::optional<Entered> entered;

		if (task.enters && !create_for(actor, entered))
			return false;
		if (task.creator_ends)
			end_creator(*entered);
		const NewTarget target = { task.creates || task.enters,
					   task.enters ? actor.target : actor.active,
					   task.enters ? model_.spaces[actor.target].owner :
							 actor.user,
					   task.enters ? &entered->ns.ns() : nullptr };
		const bool right = run_actor(batch, task, target);
		if (task.enters)
			end_creator(*entered);
		return right;
	}

private:
	/* Children of the worker that are there until it releases them. */
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

	bool create_for(const Actor &actor, std::optional<Entered> &entered)
	{
		const int space = actor.target;

		entered = { world_.below(space, model_.spaces[space].owner), space, {} };
		if (entered->ns.error())
			return checker_.mismatch(
				"a namespace below " + std::to_string(space) +
				" cannot be entered: " + errno_name(entered->ns.error()));
		entered->creator = nspids(entered->ns.creator());
		return checker_.born(space, entered->creator, 0) && mark(space, entered->creator);
	}
	void end_creator(Entered &entered)
	{
		caller_.unmark(model_, entered.space, entered.creator);
		entered.ns.creator().end();
		model_.release(entered.space, entered.creator);
		entered.creator.clear();
	}

	bool mark(int space, const Pids &pids)
	{
		const std::string twice = caller_.mark(model_, space, pids);

		return twice.empty() || checker_.mismatch(twice);
	}

	bool run_actor(const Batch &batch, const Task &task, const NewTarget &target)
	{
		const int space = task.actor.active;

		memset(static_cast<void *>(&*exchange_), 0, sizeof(Exchange));
		Spawned spawned = world_.run_in(space, [&] {
			ActorProcess process(checker_, caller_, world_, *exchange_);

			return process.run(batch, task, target);
		});
		if (spawned.error)
			return checker_.mismatch(
				"an actor in namespace " + std::to_string(space) +
				" cannot be created: " + errno_name(spawned.error));
		const Pids pids = nspids(spawned.child);
		if (!checker_.born(space, pids, task.last) || !mark(space, pids) ||
		    !becomes_ready(spawned.child))
			return false;
		const ExitStatus status = let_it_call(spawned.child, task.pid_max);
		const bool right = follow(batch, task.actor, target, status);
		caller_.unmark(model_, space, pids);
		spawned.child.wait();
		model_.release(space, pids);
		return right;
	}
	bool becomes_ready(const Child &actor)
	{
		while (!exchange_->ready) {
			if (exits_within(actor, 0))
				return checker_.mismatch(
					std::string("an actor cannot become what it is to be: ") +
					exchange_->wrong);
			sched_yield();
		}
		return true;
	}
	/* Waits until the actor has made its calls, with another kernel.pid_max if not 0. */
	ExitStatus let_it_call(Child &actor, pid_t limit)
	{
		Sysctl pid_max("kernel/pid_max");

		if (limit && !pid_max.set(limit))
			exchange_->start = limit;
		else
			exchange_->start = model_.pid_max;
		return actor.wait_zombie();
	}

	/* Compares what the actor did, call by call. */
	bool follow(const Batch &batch, const Actor &actor, const NewTarget &target,
		    const ExitStatus &status)
	{
		const pid_t usual = std::exchange(model_.pid_max, exchange_->start);
		const Actor a = checker_.enter(actor, target);
		bool right = true;

		for (int i = 0; i < exchange_->done && right; i++) {
			const Call c = draw_call(model_, a, batch.calls[i]);
			const Result &result = exchange_->results[i];

			checker_.remember(a, c, result);
			keep(a, c, result);
			right = checker_.compare(a, c, visible(c, caller_.args(c)), result);
			outcome_.last_calls = i + 1;
			++outcome_.calls;
			outcome_.successes += result.ret > 0;
		}
		checker_.leave(a, target);
		model_.pid_max = usual;
		/* Leaders have left by now: their PIDs are those of what they led. */
		for (const Holder &holder : holders_) {
			if (holder.pids.size() > 1)
				waitpid(holder.pids[0].back(), nullptr, __WALL);
		}
		if (right && *exchange_->wrong)
			return checker_.mismatch(exchange_->wrong);
		if (right && status.code)
			return checker_.mismatch("an actor has ended with " +
						 std::to_string(status.code) + ", signal " +
						 std::to_string(status.signal));
		return right;
	}

	/*
	 * Children that stay are released in any case, also after a mismatch: a namespace
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
			caller_.reaped(model_, holder.target, pids);
			model_.release(holder.target, pids);
		}
	}

	Checker checker_;
	Model &model_;
	const World &world_;
	Outcome &outcome_;
	const bool alone_;
	const Shared<Exchange> exchange_;
	Caller caller_;
	std::vector<Holder> holders_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_WORKER_HPP */
