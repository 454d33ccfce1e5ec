/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cut a plan with a mismatch down.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_SHRINK_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_SHRINK_HPP

#include "run.hpp"

namespace model
{
/* Leaves out what is not needed for a mismatch, as far as that comes out in time. */
inline Plan shrink(Plan plan, Outcome &outcome, int seconds)
{
	const Shared<Outcome> trial;
	const uint64_t start = now_ns();

	/* Nothing has come of what is behind the mismatch. */
	plan.batches.resize(std::clamp<size_t>(outcome.batches, 1, plan.batches.size()));
	auto &last = plan.batches.back().calls;
	if (outcome.last_calls && size_t(outcome.last_calls) < last.size())
		last.resize(outcome.last_calls);
	auto still = [&](const Plan &shorter) {
		const int left_ms = (seconds - seconds_since(start)) * 1000;

		if (left_ms <= 0)
			return false;
		carry_out(shorter, *trial, left_ms);
		/* What the end of the time has stopped does not count. */
		if (!trial->mismatch || seconds_since(start) > seconds)
			return false;
		memcpy(static_cast<void *>(&outcome), static_cast<void *>(&*trial),
		       sizeof(outcome));
		plan = shorter;
		return true;
	};

	/* Mostly it is only the last ones that matter. */
	for (size_t count : { 1, 2, 4, 8 }) {
		if (plan.batches.size() > count &&
		    still({ plan.world,
			    plan.deep,
			    { plan.batches.end() - count, plan.batches.end() } }))
			break;
	}
	for (size_t count : { 1, 2, 4, 8 }) {
		Plan shorter = plan;
		auto &calls = shorter.batches.back().calls;

		if (calls.size() <= count)
			continue;
		calls.erase(calls.begin(), calls.end() - count);
		if (still(shorter))
			break;
	}
	for (size_t count = plan.batches.size(); count; count /= 2) {
		for (size_t at = 0; at < plan.batches.size();) {
			Plan shorter = plan;
			auto &batches = shorter.batches;

			batches.erase(batches.begin() + at,
				      batches.begin() + std::min(at + count, batches.size()));
			if (!still(shorter))
				at += count;
		}
	}
	for (size_t i = plan.batches.size(); i--;) {
		for (size_t count = plan.batches[i].calls.size(); count; count /= 2) {
			for (size_t at = 0; at < plan.batches[i].calls.size();) {
				Plan shorter = plan;
				auto &calls = shorter.batches[i].calls;

				calls.erase(calls.begin() + at,
					    calls.begin() + std::min(at + count, calls.size()));
				if (!still(shorter))
					at += count;
			}
		}
	}
	return plan;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_SHRINK_HPP */
