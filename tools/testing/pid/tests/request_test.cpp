// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that are refused before anything is claimed: rows 4 to 10.
 */

#include <cerrno>
#include <climits>
#include <cstdint>

#include "tests/suite.hpp"

/*
 * The two fields and the array, which need no namespace.
 */

TEST_F(set_tid, row04_pointer_and_size_belong_together)
{
	EXPECT_TRUE(shim_set_tid_args_valid(0, 0));
	EXPECT_FALSE(shim_set_tid_args_valid(0, 1));
	EXPECT_FALSE(shim_set_tid_args_valid(0x1000, 0));
	EXPECT_FALSE(shim_set_tid_args_valid(UINT64_MAX, 0));
	EXPECT_FALSE(shim_set_tid_args_valid(1ULL << 32, 0));
	EXPECT_FALSE(shim_set_tid_args_valid(0, 1ULL << 32));
}

TEST_F(set_tid, row05_at_most_33_pids)
{
	for (uint64_t size = 1; size <= 33; size++)
		EXPECT_TRUE(shim_set_tid_args_valid(0x1000, size)) << size;
	for (uint64_t size :
	     { 34ULL, 1ULL << 31, 1ULL << 32, (1ULL << 32) + 1, (1ULL << 63) + 1, ULLONG_MAX })
		EXPECT_FALSE(shim_set_tid_args_valid(0x1000, size)) << size;
}

TEST_F(set_tid, row06_array_is_read_as_a_whole_or_not_at_all)
{
	const Pids user = ask(33);
	const auto uptr = reinterpret_cast<uintptr_t>(user.data());
	pid_t set_tid[33];

	for (std::size_t size = 1; size <= user.size(); size++) {
		shim_set_user_end(user.data() + size);
		ASSERT_EQ(0, shim_set_tid_copy_from_user(set_tid, uptr, size));
		EXPECT_EQ(Pids(set_tid, set_tid + size), ask(size));

		/* One byte is missing; the whole array is. */
		shim_set_user_end(reinterpret_cast<const char *>(user.data() + size) - 1);
		EXPECT_EQ(-EFAULT, shim_set_tid_copy_from_user(set_tid, uptr, size));
		shim_set_user_end(user.data());
		EXPECT_EQ(-EFAULT, shim_set_tid_copy_from_user(set_tid, uptr, size));
	}
	shim_set_user_end(nullptr);
}

TEST_F(set_tid, row06_no_request_reads_nothing)
{
	const char end = 0;
	pid_t untouched = 42;

	shim_set_user_end(&end);
	EXPECT_EQ(0, shim_set_tid_copy_from_user(&untouched, 0, 0));
	EXPECT_EQ(42, untouched);
	shim_set_user_end(nullptr);
}

/*
 * PIDs that a namespace refuses.
 */

TEST_F(set_tid, row07_more_pids_than_levels)
{
	for (unsigned int level : some_levels) {
		World w;
		const auto nss = w.chain(level);

		for (std::size_t size = level + 2; size <= 34; size++)
			EXPECT_EQ(-EINVAL, w.try_alloc(nss.back(), ask(size)));
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(level + 1)));
	}
}

TEST_F(set_tid, row08_pid_out_of_range_at_any_level)
{
	World w;
	const auto nss = w.chain(4);
	const auto before = states(nss);

	for (std::size_t i = 0; i < nss.size(); i++) {
		const pid_t end = shim_ns_pid_max(nss[4 - i]);

		for (pid_t bad : { 0, -1, INT_MIN, INT_MAX, end, end + 1 }) {
			Pids wanted = ask(5);

			wanted[i] = bad;
			EXPECT_EQ(-EINVAL, w.try_alloc(nss.back(), wanted)) << bad << " at " << i;
		}
	}
	EXPECT_EQ(before, states(nss));
}

TEST_F(set_tid, row08_last_pid_in_range_at_any_level)
{
	World w;
	const auto nss = w.chain(4);

	for (std::size_t i = 0; i < nss.size(); i++) {
		Pids wanted = ask(5, 1000 * (i + 1));

		wanted[i] = shim_ns_pid_max(nss[4 - i]) - 1;
		EXPECT_EQ(0, w.try_alloc(nss.back(), wanted)) << i;
	}
}

TEST_F(set_tid, row08_range_follows_pid_max)
{
	World w;

	shim_ns_set_pid_max(shim_root(), 301);
	EXPECT_EQ(-EINVAL, w.try_alloc(shim_root(), { 301 }));
	EXPECT_EQ(0, w.try_alloc(shim_root(), { 300 }));
	shim_ns_set_pid_max(shim_root(), SHIM_PID_MAX_LIMIT);
	EXPECT_EQ(-EINVAL, w.try_alloc(shim_root(), { SHIM_PID_MAX_LIMIT }));
	EXPECT_EQ(0, w.try_alloc(shim_root(), { SHIM_PID_MAX_LIMIT - 1 }));
}

TEST_F(set_tid, row09_namespace_without_init_takes_only_its_init)
{
	World w;
	const auto nss = w.chain(2);
	struct pid_namespace *fresh = w.new_ns(nss.back());

	EXPECT_EQ(-EINVAL, w.try_alloc(fresh, { 2 }));
	EXPECT_EQ(-EINVAL, w.try_alloc(fresh, { 2, 1000 }));
	EXPECT_EQ(0, w.try_alloc(fresh, { 1, 1000 }));

	/* PID 1 is taken, but its task is not there yet. */
	EXPECT_EQ(-EINVAL, w.try_alloc(fresh, { 2 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(fresh, { 1 }));
	shim_ns_set_reaper(fresh, true);
	EXPECT_EQ(0, w.try_alloc(fresh, { 2 }));
}

TEST_F(set_tid, row09_automatic_pid_of_a_namespace_without_init_is_1)
{
	for (const Pids &first : { Pids{}, { 1 }, { 1, 1000 } }) {
		World w;
		const auto nss = w.chain(2);
		struct pid_namespace *fresh = w.new_ns(nss.back());
		struct pid *claimed = w.alloc(fresh, first);
		const auto before = states({ nss[0], nss[1], nss[2], fresh });

		EXPECT_EQ(1, numbers(claimed).front());
		for (int again = 0; again < 3; again++)
			EXPECT_EQ(-EINVAL, w.try_alloc(fresh));
		shim_rcu_barrier();
		EXPECT_EQ(before, states({ nss[0], nss[1], nss[2], fresh }));
		/* row 19: the namespace is empty again, so the next process gets PID 1. */
		w.free(claimed);
		EXPECT_EQ(1, numbers(w.start_init(fresh)).front());
		EXPECT_EQ(2, numbers(w.alloc(fresh)).front());
	}
}

TEST_F(set_tid, row09_automatic_pid_at_an_outer_level_without_init)
{
	World w;
	const auto nss = w.chain(2);

	shim_ns_set_reaper(nss[1], false);
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2]));
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2], { 1000 }));
}

TEST_F(set_tid, row09_at_an_outer_level_too)
{
	World w;
	const auto nss = w.chain(2);

	shim_ns_set_reaper(nss[1], false);
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2], { 1000, 1000 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1001, 1 }));
}

TEST_F(set_tid, row10_either_capability_is_enough)
{
	World w;
	struct user_namespace *owner = w.owner(SHIM_CAP_NONE);
	struct pid_namespace *ns = w.new_ns(shim_root(), owner);

	w.start_init(ns);
	EXPECT_EQ(-EPERM, w.try_alloc(ns, { 1000 }));
	shim_user_ns_set_caps(owner, SHIM_CAP_SYS_ADMIN);
	EXPECT_EQ(0, w.try_alloc(ns, { 1000 }));
	shim_user_ns_set_caps(owner, SHIM_CAP_CHECKPOINT_RESTORE);
	EXPECT_EQ(0, w.try_alloc(ns, { 1001 }));
}

TEST_F(set_tid, row10_every_level_asks_its_own_owner)
{
	World w;
	std::vector<struct user_namespace *> owners = { w.owner() };
	std::vector<struct pid_namespace *> nss = { shim_root() };

	shim_ns_set_owner(shim_root(), owners.front());
	for (int level = 1; level <= 5; level++) {
		owners.push_back(w.owner());
		nss.push_back(w.new_ns(nss.back(), owners.back()));
		w.start_init(nss.back());
	}

	const auto before = states(nss);

	for (unsigned int denied = 0; denied <= 5; denied++) {
		shim_user_ns_set_caps(owners[denied], SHIM_CAP_NONE);
		for (std::size_t size = 1; size <= 6; size++) {
			const bool asked = denied + size > 5;
			struct pid *pid;
			const int err = w.try_alloc(nss.back(), ask(size), &pid);

			EXPECT_EQ(asked ? -EPERM : 0, err)
				<< "level " << denied << ", size " << size;
			if (err)
				continue;
			w.free(pid);
			for (std::size_t i = 0; i < nss.size(); i++)
				shim_ns_set_cursor(nss[i], before[i].cursor);
		}
		shim_user_ns_set_caps(owners[denied], SHIM_CAP_SYS_ADMIN);
	}
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));
}

TEST_F(set_tid, row10_owner_may_come_again_further_out)
{
	/* Owners from the outermost level inwards; only b is denied. */
	for (const char *order :
	     { "abab", "baba", "aabb", "bbaa", "abba", "aaab", "baaa", "aaba" }) {
		World w;
		struct user_namespace *a = w.owner();
		struct user_namespace *b = w.owner();
		std::vector<struct pid_namespace *> nss;

		shim_ns_set_owner(shim_root(), order[0] == 'a' ? a : b);
		nss.push_back(shim_root());
		for (int i = 1; i < 4; i++) {
			nss.push_back(w.new_ns(nss.back(), order[i] == 'a' ? a : b));
			w.start_init(nss.back());
		}
		shim_user_ns_set_caps(b, SHIM_CAP_NONE);

		for (std::size_t size = 1; size <= 4; size++) {
			const std::string asked(order + 4 - size);
			const bool denied = asked.find('b') != asked.npos;

			EXPECT_EQ(denied ? -EPERM : 0,
				  w.try_alloc(nss.back(), ask(size, 1000 * size)))
				<< order << ", size " << size;
		}
	}
}

TEST_F(set_tid, row10_nobody_is_asked_about_automatic_levels)
{
	World w;
	struct user_namespace *owner = w.owner(SHIM_CAP_NONE);
	struct pid_namespace *ns = w.new_ns(shim_root(), owner);

	w.start_init(ns);
	EXPECT_EQ(0, w.try_alloc(ns));
	EXPECT_EQ(0u, shim_user_ns_asked(owner));
}

TEST_F(set_tid, order_inner_level_is_validated_first)
{
	World w;
	struct user_namespace *denied = w.owner(SHIM_CAP_NONE);
	struct pid_namespace *outer = w.new_ns(shim_root());
	struct pid_namespace *middle = w.new_ns(outer, denied);
	struct pid_namespace *inner = w.new_ns(middle);

	for (struct pid_namespace *ns : { outer, middle, inner })
		w.start_init(ns);
	EXPECT_EQ(-EPERM, w.try_alloc(inner, { 1000, 1000, 0 }));
	EXPECT_EQ(-EINVAL, w.try_alloc(inner, { 0, 1000, 1000 }));
	/* At one level: range, then init, then capability. */
	EXPECT_EQ(-EINVAL, w.try_alloc(inner, { 1000, 0 }));
	shim_ns_set_reaper(middle, false);
	EXPECT_EQ(-EINVAL, w.try_alloc(inner, { 1000, 1000 }));
	EXPECT_EQ(-EPERM, w.try_alloc(inner, { 1000, 1 }));
}

TEST_F(set_tid, order_all_levels_are_validated_before_any_is_claimed)
{
	World w;
	struct user_namespace *denied = w.owner();
	struct pid_namespace *outer = w.new_ns(shim_root(), denied);

	w.start_init(outer);

	struct pid_namespace *inner = w.new_ns(outer);

	w.start_init(inner);
	w.alloc(inner, { 1000, 1000 });

	/* An inner PID is busy, the inner namespace is dead, memory is short. */
	const auto expect = [&](int err, const Pids &wanted) {
		const shim_stats before = stats();

		EXPECT_EQ(err, w.try_alloc(inner, wanted));
		EXPECT_EQ(before.locks, stats().locks);
		EXPECT_EQ(before.sleeping, stats().sleeping);
	};

	expect(-EINVAL, { 1000, 0 });
	expect(-EINVAL, { 1000, shim_ns_pid_max(outer) });
	expect(-EINVAL, { 1000, 1000, -1 });
	expect(-EINVAL, { 1000, 1000, 1000, 1000 });
	shim_user_ns_set_caps(denied, SHIM_CAP_NONE);
	expect(-EPERM, { 1000, 1001 });
	shim_disable_pid_allocation(inner);
	expect(-EPERM, { 1001, 1001 });
	shim_set_alloc(SHIM_SLEEPING, 0);
	expect(-EPERM, { 1001, 1001 });
}
