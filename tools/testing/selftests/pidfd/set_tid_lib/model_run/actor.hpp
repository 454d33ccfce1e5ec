/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that makes the calls of a batch.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ACTOR_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ACTOR_HPP

#include "../model/generator.hpp"
#include "caller.hpp"
#include "checker.hpp"
#include "world.hpp"
#include "../capability.hpp"
#include "../errno.hpp"
#include "../proc.hpp"
#include "../process.hpp"
#include "../requirement.hpp"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <initializer_list>
#include <map>
#include <string>

namespace model
{
/*
 * Runs in a process of its own, on what it has inherited from its worker, and writes
 * the results to the exchange.
 */
class ActorProcess {
public:
	ActorProcess(Checker &checker, Caller &caller, const World &world, Exchange &exchange)
		: checker_(checker), model_(checker.model()), caller_(caller), world_(world),
		  exchange_(exchange)
	{
		checker_.leave_reports_to_worker();
	}

	/* Returns the exit status. */
	int run(const Batch &batch, const Task &task, const NewTarget &target)
	{
		if (!checker_.born(task.actor.active, nspids_of_self(), task.last) ||
		    !become(task, target))
			return 99;
		exchange_.ready = true;
		while (!exchange_.start)
			sched_yield();
		model_.pid_max = exchange_.start;
		const Actor a = checker_.enter(task.actor, target);
		const int status = make_calls(batch, a);

		if (!checker_.init().empty())
			end_init(a);
		return status;
	}

private:
	bool fails_at(const char *step)
	{
		snprintf(exchange_.wrong, sizeof(exchange_.wrong), "%s: %s", step,
			 errno_name(errno));
		return false;
	}

	/* Enters the namespaces and gives up what the actor is not to have. */
	bool become(const Task &task, const NewTarget &target)
	{
		const Actor &a = task.actor;

		/* The children's exit signals. */
		signal(SIGUSR1, SIG_IGN);
		signal(64, SIG_IGN);
		if (task.last && set_last_pid(task.last))
			return fails_at("ns_last_pid");
		if (target.entered && setns(target.entered->get(), CLONE_NEWPID))
			return fails_at("setns() to a namespace without an init");
		if (!target.exists && a.target != a.active &&
		    setns(world_.ns(a.target).get(), CLONE_NEWPID))
			return fails_at("setns() to the PID namespace");
		if (a.user && setns(world_.ns(a.joined).get(), CLONE_NEWUSER))
			return fails_at("setns() to the user namespace");
		if (target.exists && !target.entered && unshare(CLONE_NEWPID))
			return fails_at("unshare()");
		return limit_power(a.power);
	}
	bool limit_power(Actor::Power power)
	{
		static const std::map<Actor::Power, std::initializer_list<int>> kept = {
			{ Actor::none, {} },
			{ Actor::admin, { CAP_SYS_ADMIN } },
			{ Actor::checkpoint, { CAP_CHECKPOINT_RESTORE } },
		};

		if (power == Actor::nobody && seteuid(65534))
			return fails_at("seteuid()");
		if (kept.count(power) && keep_capabilities(kept.at(power)))
			return fails_at("the capabilities");
		die_with_parent();
		return true;
	}

	int make_calls(const Batch &batch, const Actor &a)
	{
		for (uint64_t seed : batch.calls) {
			const Call c = draw_call(model_, a, seed);
			Result &result = exchange_.results[exchange_.done];
			const std::string wrong = caller_.make(model_, a, c, result);

			++exchange_.done;
			if (!wrong.empty()) {
				snprintf(exchange_.wrong, sizeof(exchange_.wrong), "%s",
					 wrong.c_str());
				return 1;
			}
			if (!checker_.compare(a, c, visible(c, caller_.args(c)), result))
				return 1;
			if (c.role == Role::init && result.ret > 0)
				init_pid_ = result.ret;
		}
		return 0;
	}

	/* Ends the init of the actor's new target: nobody else would. */
	void end_init(const Actor &a)
	{
		caller_.unmark(model_, a.target, checker_.init());
		kill(init_pid_, SIGKILL);
		while (waitpid(init_pid_, nullptr, __WALL) < 0 && errno == EINTR)
			;
		caller_.reaped(model_, a.target, checker_.init());
	}

	Checker &checker_;
	Model &model_;
	Caller &caller_;
	const World &world_;
	Exchange &exchange_;
	pid_t init_pid_ = 0;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_ACTOR_HPP */
