// SPDX-License-Identifier: GPL-2.0
/*
 * Several threads, each one a CPU, run kernel/pid_alloc.c at once. Run this under
 * ThreadSanitizer, which finds races that the checks below miss.
 */

#include <atomic>
#include <barrier>
#include <functional>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/suite.hpp"

static constexpr unsigned int rounds = 8000;

class race : public CleanTest {
protected:
	/* @n threads of @body(index of the thread). */
	static void threads(unsigned int n, const std::function<void(unsigned int)> &body)
	{
		std::vector<std::thread> crew;

		for (unsigned int i = 0; i < n; i++) {
			crew.emplace_back([&body, i] {
				shim_thread_enter();
				/* Odd threads allocate under the lock, even ones use preloaded nodes. */
				shim_set_alloc(SHIM_ATOMIC, i % 2 ? -1 : 0);
				body(i);
				shim_thread_exit();
			});
		}
		for (std::thread &t : crew)
			t.join();
	}

	/*
	 * In each of n rounds prepare(caller, round) is followed by claim(caller, round) of
	 * all callers at the same time. When all have claimed, what they got is released.
	 */
	template <typename Prepare, typename Claim>
	static void at_once(unsigned int callers, unsigned int n, Prepare prepare, Claim claim)
	{
		std::barrier<> together(callers);

		threads(callers, [&](unsigned int i) {
			for (unsigned int round = 0; round < n; round++) {
				prepare(i, round);
				together.arrive_and_wait();
				struct pid *pid = claim(i, round);
				together.arrive_and_wait();
				if (pid)
					shim_free_pid(pid);
				sometimes_rcu(round);
			}
		});
	}

	/* Runs the callbacks of what was freed, every 64 rounds. */
	static void sometimes_rcu(unsigned int round)
	{
		if (round % 64 == 0)
			shim_rcu_barrier();
	}
};

TEST_F(race, row20_exactly_one_caller_wins)
{
	constexpr unsigned int callers = 3;
	/* All request the same PID at one level, or at each. */
	const std::vector<std::vector<Pids>> wanted = {
		{ { 1000 }, { 1000 }, { 1000 } },
		{ { 2000, 1000 }, { 2001, 1000 }, { 2002, 1000 } },
		{ { 1000, 2000, 3000 }, { 1000, 2000, 3000 }, { 1000, 2000, 3000 } },
		{ { 1000, 2000, 3000 }, { 1001, 2001, 3000 }, { 1002, 2002, 3000 } },
	};
	World w;
	const auto nss = w.chain(2);
	std::atomic<unsigned int> winners = 0, losers = 0, others = 0;

	auto claim = [&](unsigned int i, unsigned int round) {
		const Pids &mine = wanted[round % wanted.size()][i];
		struct pid *pid;

		switch (shim_alloc_pid(nss.back(), mine.data(), mine.size(), &pid)) {
		case 0:
			winners++;
			break;
		case -EEXIST:
			losers++;
			break;
		default:
			others++;
		}
		return pid;
	};
	at_once(
		callers, rounds / 4, [](unsigned int, unsigned int) {}, claim);
	EXPECT_EQ(rounds / 4, winners);
	EXPECT_EQ(rounds / 4 * (callers - 1), losers);
	EXPECT_EQ(0u, others);
}

TEST_F(race, row15_nobody_meets_a_part_of_a_claim)
{
	World w;
	const auto nss = w.chain(4);
	/* Out of reach for the automatic sequence. */
	const Pids doomed = { 31000, 31000, 31000, 31000, 1 };
	std::atomic<unsigned int> running = 2, granted = 0, met = 0, wrong = 0;

	threads(4, [&](unsigned int i) {
		/* Claims four levels and fails at the last. */
		for (unsigned int round = 0; i == 0 && running; round++) {
			struct pid *pid;

			if (shim_alloc_pid(nss[4], doomed.data(), 5, &pid) != -EEXIST)
				granted++;
			sometimes_rcu(round);
		}
		/* Requests one of the four, which is free. */
		for (unsigned int round = 0; (i == 1 || i == 2) && round < rounds; round++) {
			struct pid *pid;
			const int err = shim_alloc_pid(nss[i == 1 ? 4 : 2], doomed.data(), 1, &pid);

			met += err == -EEXIST;
			if (pid)
				shim_free_pid(pid);
			sometimes_rcu(round);
		}
		if (i == 1 || i == 2)
			running--;
		/* Looks the PIDs up: only granted ones may be found. */
		while (i == 3 && running) {
			for (unsigned int level = 1; level <= 4; level++) {
				struct pid *pid;

				shim_read_lock();
				pid = shim_find_pid(31000, nss[level]);
				if (pid)
					wrong += shim_pid_nr(pid, level) != 31000 ||
						 shim_pid_nr(pid, 0) == 1 ||
						 (level != 4 && level != 2);
				shim_read_unlock();
			}
		}
	});
	EXPECT_EQ(0u, granted);
	EXPECT_EQ(0u, met);
	EXPECT_EQ(0u, wrong);
}

TEST_F(race, row16_failed_claims_skip_no_number)
{
	World w;
	const auto nss = w.chain(4);
	const auto start = states(nss);
	std::atomic<bool> running = true;

	threads(2, [&](unsigned int i) {
		const Pids doomed = { 31000, 31000, 31000, 31000, 1 };

		for (unsigned int round = 0; i == 0 && running; round++) {
			struct pid *pid;

			shim_alloc_pid(nss[4], doomed.data(), 5, &pid);
			sometimes_rcu(round);
		}
		if (i == 0)
			return;
		for (unsigned int round = 0; round < rounds / 2; round++) {
			struct pid *pid;

			ASSERT_EQ(0, shim_alloc_pid(nss[4], nullptr, 0, &pid));
			for (unsigned int level = 0; level <= 4; level++)
				ASSERT_EQ(start[level].cursor + round,
					  static_cast<unsigned int>(shim_pid_nr(pid, level)));
			shim_free_pid(pid);
			sometimes_rcu(round);
		}
		running = false;
	});
}

TEST_F(race, lookups_find_whole_pids)
{
	World w;
	const auto nss = w.chain(4);
	constexpr unsigned int enough = 1000;
	std::atomic<unsigned int> running = 2, found = 0, wrong = 0;

	threads(4, [&](unsigned int i) {
		std::mt19937 random(i);

		/* Two threads create and end processes, 20 at a time. */
		if (i < 2) {
			std::vector<struct pid *> live(20);

			for (unsigned int round = 0; round < rounds || found < enough; round++) {
				struct pid *&pid = live[random() % live.size()];
				const Pids wanted(random() % 6, 2 + random() % 100);

				if (pid)
					shim_free_pid(pid);
				shim_alloc_pid(nss[4], wanted.data(), wanted.size(), &pid);
				if (pid)
					shim_pid_may_attach(pid, nullptr, 0);
				/* ns_last_pid */
				if (round % 16 == 0)
					shim_set_last_pid(nss[random() % 5], 1);
				if (round % 256 == 0)
					shim_ns_set_pid_max(nss[random() % 5],
							    30000 + random() % 1000);
				sometimes_rcu(round);
			}
			for (struct pid *pid : live)
				if (pid)
					shim_free_pid(pid);
			running--;
			return;
		}
		while (running) {
			const unsigned int at = random() % 5;
			const int nr = 2 + random() % 130;
			struct pid *pid;

			shim_read_lock();
			pid = shim_find_pid(nr, nss[at]);
			if (pid) {
				found++;
				wrong += shim_pid_nr(pid, at) != nr;
				/* The other levels have their PIDs, too. */
				for (unsigned int l = 0; l <= shim_pid_level(pid); l++)
					wrong += shim_pid_nr(pid, l) < 1 ||
						 shim_pid_ns(pid, l) != nss[l];
			}
			shim_read_unlock();
		}
	});
	EXPECT_EQ(0u, wrong);
}

TEST_F(race, row18_what_pidfs_refuses_is_free_for_others)
{
	if (!shim_pidfs_can_fail())
		GTEST_SKIP() << "pidfs takes every PID";

	World w;
	const auto nss = w.chain(4);
	const Pids wanted = ask(5);
	const auto start = states(nss);
	std::atomic<unsigned int> running = 1, refused = 0, wrong = 0;

	threads(3, [&](unsigned int i) {
		shim_fail_pidfs(i == 0);
		/* One is refused all the time, the other one gets its PIDs between that. */
		while (i < 2 && running) {
			struct pid *pid;
			const int err = shim_alloc_pid(nss[4], wanted.data(), 5, &pid);

			refused += err == -ENOMEM;
			wrong += err != (i ? 0 : -ENOMEM) && err != -EEXIST;
			if (pid)
				shim_free_pid(pid);
			sometimes_rcu(refused);
		}
		/* Both may be found, but as a whole. */
		for (unsigned int round = 0; i == 2 && (round < rounds || refused < 500); round++) {
			struct pid *pid;

			shim_read_lock();
			pid = shim_find_pid(wanted[0], nss[4]);
			wrong += pid && numbers(pid) != wanted;
			shim_read_unlock();
		}
		if (i == 2)
			running = 0;
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(start, states(nss));
}

TEST_F(race, references_outlive_the_process)
{
	World w;
	const auto nss = w.chain(1);
	std::atomic<unsigned int> running = 1;

	threads(3, [&](unsigned int i) {
		if (i == 0) {
			const Pids wanted = { 1000 };

			for (unsigned int round = 0; round < rounds; round++) {
				struct pid *pid;

				if (!shim_alloc_pid(nss[1], wanted.data(), 1, &pid))
					shim_free_pid(pid);
				sometimes_rcu(round);
			}
			running--;
			return;
		}
		/* As find_get_pid() does. */
		while (running) {
			struct pid *pid;

			shim_read_lock();
			pid = shim_find_pid(1000, nss[1]);
			if (pid)
				shim_get_pid(pid);
			shim_read_unlock();
			if (!pid)
				continue;
			EXPECT_EQ(1000, shim_pid_nr(pid, 1));
			shim_put_pid(pid);
		}
	});
}

TEST_F(race, row12_nothing_is_granted_after_the_init_is_gone)
{
	for (unsigned int round = 0; round < rounds / 80; round++) {
		World w;
		const auto nss = w.chain(2);
		std::atomic<bool> gone = false;
		std::atomic<unsigned int> late = 0;

		threads(3, [&](unsigned int i) {
			if (i == 2) {
				/* Let the others begin. */
				for (unsigned int n = 0; n < round % 4; n++)
					std::this_thread::yield();
				shim_disable_pid_allocation(nss[1 + round % 2]);
				gone = true;
				return;
			}
			for (;;) {
				const bool before = gone;
				struct pid *pid;

				if (shim_alloc_pid(nss[2], nullptr, 0, &pid))
					break;
				late += before;
				/* Nothing is attached once the init has gone. */
				if (before)
					late += shim_pid_may_attach(pid, nullptr, 0);
				shim_free_pid(pid);
				/* The lock is not fair: let the others take it. */
				std::this_thread::yield();
			}
		});
		EXPECT_EQ(0u, late);
	}
}

TEST_F(race, row26_write_to_ns_last_pid_is_not_lost)
{
	World w;
	const auto nss = w.chain(16);
	struct pid_namespace *innermost = nss.back();
	constexpr int far = 20000;
	std::atomic<bool> running = true;

	threads(2, [&](unsigned int i) {
		for (unsigned int round = 0; i == 1 && running; round++) {
			struct pid *pid;

			ASSERT_EQ(0, shim_alloc_pid(innermost, nullptr, 0, &pid));
			shim_free_pid(pid);
			sometimes_rcu(round);
		}
		/* Write a value below @far, then @far: the cursor shows which one counts. */
		for (unsigned int round = 0; i == 0 && round < rounds; round++) {
			const bool low = round % 2;

			shim_set_last_pid(innermost, low ? 1000 : far);
			ASSERT_EQ(low, shim_ns_cursor(innermost) < far) << round;
			sometimes_rcu(round);
		}
		if (i == 0)
			running = false;
	});
}

/* In each round one caller creates the first process. In every other round that fails late. */
TEST_F(race, row27_one_of_several_creates_the_init)
{
	constexpr unsigned int callers = 3;
	World w;
	struct pid_namespace *ns = nullptr;
	std::atomic<unsigned int> firsts = 0, refused = 0, others = 0;

	auto prepare = [&](unsigned int i, unsigned int round) {
		if (i == 0 && round % 2 == 0)
			ns = w.new_ns(shim_root());
	};
	auto claim = [&](unsigned int i, unsigned int) {
		const Pids wanted(i == 1, 1);
		struct pid *pid;

		switch (shim_alloc_pid(ns, wanted.data(), wanted.size(), &pid)) {
		case 0:
			firsts += shim_pid_nr(pid, 1) == 1;
			break;
		case -EINVAL:
			refused += wanted.empty();
			break;
		case -EEXIST:
			refused += !wanted.empty();
			break;
		default:
			others++;
		}
		return pid;
	};
	at_once(callers, rounds / 8, prepare, claim);
	EXPECT_EQ(rounds / 8, firsts);
	EXPECT_EQ(rounds / 8 * (callers - 1), refused);
	EXPECT_EQ(0u, others);
}

TEST_F(race, first_process_and_requests_for_its_namespace)
{
	for (unsigned int round = 0; round < rounds / 80; round++) {
		World w;
		struct pid_namespace *ns = w.new_ns(shim_root());
		struct pid *live[2] = {};

		threads(2, [&](unsigned int i) {
			const Pids wanted = { 1000 };
			int err = -EINVAL;

			/* Refused until the init is there, then granted. */
			while (i == 0 && err) {
				err = shim_alloc_pid(ns, wanted.data(), 1, &live[0]);
				ASSERT_TRUE(!err || err == -EINVAL);
			}
			if (i == 1) {
				ASSERT_EQ(0, shim_alloc_pid(ns, nullptr, 0, &live[1]));
				shim_ns_set_reaper(ns, true);
			}
		});
		EXPECT_EQ(1000, shim_pid_nr(live[0], 1));
		EXPECT_EQ(1, shim_pid_nr(live[1], 1));
		shim_disable_pid_allocation(ns);
		shim_free_pid(live[0]);
		shim_free_pid(live[1]);
	}
}
