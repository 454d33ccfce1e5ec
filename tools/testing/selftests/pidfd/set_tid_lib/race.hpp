/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that do something at the same time, over and over.
 */
#ifndef SET_TID_LIB_RACE_HPP
#define SET_TID_LIB_RACE_HPP

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "pids.hpp"
#include "process.hpp"
#include "request.hpp"
#include "shared.hpp"
#include "spawn.hpp"
#include "zombie.hpp"

/* Where processes wait for each other, in every round. */
class Barrier {
public:
	void meet(int count)
	{
		const int round = round_;

		if (++waiting_ == count) {
			waiting_ = 0;
			round_++;
			return;
		}
		if (!wait_until([&] { return round_ != round; }))
			abort();
	}

private:
	std::atomic<int> waiting_ = 0, round_ = 0;
};

/*
 * Several processes, each of which does one thing a round, at the same time as
 * the others. The test's own process is the first of them, and checks the outcome.
 */
class Race {
public:
	using Act = std::function<long(int round)>;
	using Results = std::vector<long>;

	void add(Act act, Act after = nullptr, Act before = nullptr)
	{
		runners_.push_back({ std::move(act), std::move(after), std::move(before) });
	}
	/* One that claims PIDs, and releases them when all have made their call. */
	void add_claim(const Pids &pids)
	{
		auto zombie = std::make_shared<Zombie>();

		add([=](int) { return zombie->create(pids); },
		    [=](int) {
			    zombie->reap();
			    return 0;
		    });
	}

	/*
	 * possible(results) returns whether a round may end like this. Returns the
	 * number of rounds that ended otherwise, and one more if no two calls overlapped
	 * in any round. That can take long on a busy machine: it makes up to most_times
	 * as many rounds.
	 */
	template <typename Possible> int run(int rounds, Possible possible)
	{
		constexpr int most_times = 20;
		const int count = runners_.size();
		std::vector<Child> others;
		int wrong = 0;

		together_ = 0;
		state_->over = false;
		for (int i = 1; i < count; i++) {
			auto body = [this, i, count] {
				for (int round = 0; !state_->over; round++)
					step(i, count, round, [] {});
				return 0;
			};
			Spawned runner = run_in_child(body);
			if (runner.error)
				return -1;
			others.push_back(std::move(runner.child));
		}
		for (int round = 1; !state_->over; round++)
			step(0, count, round - 1, [&] {
				const Results results(state_->results, state_->results + count);

				together_ += any_two_overlap(count);
				wrong += !possible(results);
				state_->over = round % rounds == 0 &&
					       (together_ || round == most_times * rounds);
			});
		for (Child &child : others)
			wrong += child.wait().code != 0;
		return wrong + !together_;
	}

	/* In how many rounds of the last run any two calls overlapped. */
	int together() const { return together_; }

private:
	struct Runner {
		Act act, after, before;
	};
	struct State {
		Barrier start, done, checked, end;
		long results[8] = {};
		uint64_t begun[8] = {}, ended[8] = {};
		/* Set between two of the barriers, looked at behind the last. */
		bool over = false;
	};

	bool any_two_overlap(int count) const
	{
		for (int i = 0; i < count; i++) {
			for (int j = 0; j < i; j++) {
				if (std::max(state_->begun[i], state_->begun[j]) <
				    std::min(state_->ended[i], state_->ended[j]))
					return true;
			}
		}
		return false;
	}

	template <typename Fn> void step(int i, int count, int round, Fn check)
	{
		if (runners_[i].before)
			runners_[i].before(round);
		state_->start.meet(count);
		state_->begun[i] = now_ns();
		state_->results[i] = runners_[i].act(round);
		state_->ended[i] = now_ns();
		state_->done.meet(count);
		check();
		state_->checked.meet(count);
		if (runners_[i].after)
			runners_[i].after(round);
		state_->end.meet(count);
	}

	const Shared<State> state_;
	std::vector<Runner> runners_;
	int together_ = 0;
};

/*
 * Which callers may get the PIDs they ask for: the winners of each order in which
 * the calls can be made.
 */
inline std::set<std::vector<bool>> possible_winners(const std::vector<Pids> &claims)
{
	std::set<std::vector<bool>> possible;
	std::vector<size_t> order;

	for (size_t i = 0; i < claims.size(); i++)
		order.push_back(i);
	do {
		std::vector<bool> won(claims.size());
		std::set<std::pair<size_t, pid_t>> held;

		for (size_t i : order) {
			bool free = true;

			for (size_t level = 0; level < claims[i].size(); level++)
				free = free && !held.count({ level, claims[i][level] });
			if (!free)
				continue;
			won[i] = true;
			for (size_t level = 0; level < claims[i].size(); level++)
				held.insert({ level, claims[i][level] });
		}
		possible.insert(won);
	} while (std::next_permutation(order.begin(), order.end()));
	return possible;
}

/* Counts the rounds with an outcome that no order of these claims has: see Race::run(). */
inline int race_for(const std::vector<Pids> &claims, int rounds, int &together)
{
	const auto possible = possible_winners(claims);
	Race race;

	for (const Pids &pids : claims)
		race.add_claim(pids);
	const int wrong = race.run(rounds, [&](const Race::Results &results) {
		std::vector<bool> won;

		for (long result : results) {
			if (result < 0 && result != -EEXIST)
				return false;
			won.push_back(result > 0);
		}
		return possible.count(won) > 0;
	});

	together += race.together();
	return wrong;
}

#endif /* SET_TID_LIB_RACE_HPP */
