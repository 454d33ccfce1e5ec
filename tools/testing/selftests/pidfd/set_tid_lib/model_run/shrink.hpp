/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cuts the plan of a mismatch down to the few calls that it takes.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_SHRINK_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_SHRINK_HPP

#include "run.hpp"
#include "../clock.hpp"
#include "../shared.hpp"

#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <algorithm>
#include <utility>

namespace model
{
/*
 * Leaves out parts of a plan, one after the other, and carries out the rest. If that still
 * has a mismatch, it is the new plan. Stops when its time is over.
 */
class Shrinker {
public:
	/* The outcome is that of the plan, with a mismatch; it follows the plan. */
	Shrinker(Plan plan, Outcome &outcome, int seconds)
		: plan_(std::move(plan)), outcome_(outcome), seconds_(seconds)
	{
	}

	Plan shrink()
	{
		auto batches = [](Plan & plan) -> auto &
		{
			return plan.batches;
		};
		auto calls_of_last = [](Plan & plan) -> auto &
		{
			return plan.batches.back().calls;
		};

		cut_behind_mismatch();
		/* Most of the time only the last ones matter. */
		keep_last(batches);
		keep_last(calls_of_last);
		leave_out(batches);
		for (size_t i = plan_.batches.size(); i--;)
			leave_out([i](Plan & plan) -> auto & { return plan.batches[i].calls; });
		return plan_;
	}

private:
	/* What is behind the mismatch was not carried out. */
	void cut_behind_mismatch()
	{
		plan_.batches.resize(std::clamp<size_t>(outcome_.batches, 1, plan_.batches.size()));
		auto &last = plan_.batches.back().calls;

		if (outcome_.last_calls && size_t(outcome_.last_calls) < last.size())
			last.resize(outcome_.last_calls);
	}

	/* Tries 1, 2, 4 and 8 elements from the end of a list in the plan. */
	template <typename List> void keep_last(List list_in)
	{
		for (size_t count : { 1, 2, 4, 8 }) {
			Plan shorter = plan_;
			auto &list = list_in(shorter);

			if (list.size() <= count)
				continue;
			list.erase(list.begin(), list.end() - count);
			if (accept(shorter))
				break;
		}
	}

	/* Tries without each part of a list in the plan, the large parts first. */
	template <typename List> void leave_out(List list_in)
	{
		for (size_t count = list_in(plan_).size(); count; count /= 2) {
			for (size_t at = 0; at < list_in(plan_).size();) {
				Plan shorter = plan_;
				auto &list = list_in(shorter);

				list.erase(list.begin() + at,
					   list.begin() + std::min(at + count, list.size()));
				if (!accept(shorter))
					at += count;
			}
		}
	}

	/* Takes the shorter plan if it still has a mismatch. */
	bool accept(const Plan &shorter)
	{
		const int left_ms = (seconds_ - seconds_since(start_)) * 1000;

		if (left_ms <= 0)
			return false;
		carry_out(shorter, *trial_, left_ms);
		/* A run that the end of the time has stopped does not count. */
		if (!trial_->mismatch || seconds_since(start_) > seconds_)
			return false;
		memcpy(static_cast<void *>(&outcome_), static_cast<void *>(&*trial_),
		       sizeof(outcome_));
		plan_ = shorter;
		return true;
	}

	Plan plan_;
	Outcome &outcome_;
	const int seconds_;
	const uint64_t start_ = now_ns();
	const Shared<Outcome> trial_;
};

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_SHRINK_HPP */
