// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of kernel/pid_alloc.c and kernel/set_tid.c.
 *
 * The numbers in the names of the tests are the rows of the table in
 * Documentation/userspace-api/set_tid.rst. Rows about the rest of clone3() are
 * tested in tools/testing/selftests/pidfd.
 */

#include <cerrno>
#include <climits>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include "tests/clean.hpp"
#include "tests/world.hpp"

static const std::vector<unsigned int> some_levels = { 0, 1, 2, 4, 16, 32 };

class set_tid : public clean {};
class alloc_pid : public clean {};
class free_pid : public clean {};

/* @size PIDs that are free at every level of a new world. */
static tids ask(std::size_t size, pid_t first = 1000)
{
	tids wanted(size);

	std::iota(wanted.begin(), wanted.end(), first);
	return wanted;
}

/* The PIDs that @pid has, in the order of set_tid[]. */
static tids numbers(const struct pid *pid)
{
	tids nrs;

	for (unsigned int level = shim_pid_level(pid) + 1; level--;)
		nrs.push_back(shim_pid_nr(pid, level));
	return nrs;
}

/*
 * The request, before there is a namespace to judge it for.
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
	const tids user = ask(33);
	const auto uptr = reinterpret_cast<uintptr_t>(user.data());
	pid_t set_tid[33];

	for (std::size_t size = 1; size <= user.size(); size++) {
		shim_set_user_end(user.data() + size);
		ASSERT_EQ(0, shim_set_tid_copy_from_user(set_tid, uptr, size));
		EXPECT_EQ(tids(set_tid, set_tid + size), ask(size));

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
 * What is judged before anything is claimed.
 */

TEST_F(set_tid, row07_more_pids_than_levels)
{
	for (unsigned int level : some_levels) {
		world w;
		const auto nss = w.chain(level);

		for (std::size_t size = level + 2; size <= 34; size++)
			EXPECT_EQ(-EINVAL, w.try_alloc(nss.back(), ask(size)));
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(level + 1)));
	}
}

TEST_F(set_tid, row08_pid_out_of_range_at_any_level)
{
	world w;
	const auto nss = w.chain(4);
	const auto before = states(nss);

	for (std::size_t i = 0; i < nss.size(); i++) {
		for (pid_t bad : { 0, -1, INT_MIN, INT_MAX, 32768, 32769 }) {
			tids wanted = ask(5);

			wanted[i] = bad;
			EXPECT_EQ(-EINVAL, w.try_alloc(nss.back(), wanted)) << bad << " at " << i;
		}
	}
	EXPECT_EQ(before, states(nss));
}

TEST_F(set_tid, row08_last_pid_in_range_at_any_level)
{
	world w;
	const auto nss = w.chain(4);

	for (std::size_t i = 0; i < nss.size(); i++) {
		tids wanted = ask(5, 1000 * (i + 1));

		wanted[i] = 32767;
		EXPECT_EQ(0, w.try_alloc(nss.back(), wanted)) << i;
	}
}

TEST_F(set_tid, row08_range_follows_pid_max)
{
	world w;

	shim_set_pid_max(301);
	EXPECT_EQ(-EINVAL, w.try_alloc(shim_root(), { 301 }));
	EXPECT_EQ(0, w.try_alloc(shim_root(), { 300 }));
	shim_set_pid_max(SHIM_PID_MAX_LIMIT);
	EXPECT_EQ(-EINVAL, w.try_alloc(shim_root(), { SHIM_PID_MAX_LIMIT }));
	EXPECT_EQ(0, w.try_alloc(shim_root(), { SHIM_PID_MAX_LIMIT - 1 }));
}

TEST_F(set_tid, row09_namespace_without_init_takes_only_its_init)
{
	world w;
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
	for (const tids &first : { tids{}, { 1 }, { 1, 1000 } }) {
		world w;
		const auto nss = w.chain(2);
		struct pid_namespace *fresh = w.new_ns(nss.back());
		struct pid *claimed = w.alloc(fresh, first);
		const auto before = states({ nss[0], nss[1], nss[2], fresh });

		EXPECT_EQ(1, numbers(claimed).front());
		for (int again = 0; again < 3; again++)
			EXPECT_EQ(-EINVAL, w.try_alloc(fresh));
		shim_rcu_barrier();
		EXPECT_EQ(before, states({ nss[0], nss[1], nss[2], fresh }));
		/* row 19: nobody else is there, so the next one is the first again. */
		w.free(claimed);
		EXPECT_EQ(1, numbers(w.start_init(fresh)).front());
		EXPECT_EQ(2, numbers(w.alloc(fresh)).front());
	}
}

TEST_F(set_tid, row09_automatic_pid_at_an_outer_level_without_init)
{
	world w;
	const auto nss = w.chain(2);

	shim_ns_set_reaper(nss[1], false);
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2]));
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2], { 1000 }));
}

TEST_F(set_tid, row09_at_an_outer_level_too)
{
	world w;
	const auto nss = w.chain(2);

	shim_ns_set_reaper(nss[1], false);
	EXPECT_EQ(-EINVAL, w.try_alloc(nss[2], { 1000, 1000 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1001, 1 }));
}

TEST_F(set_tid, row10_either_capability_is_enough)
{
	world w;
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
	world w;
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
		world w;
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
	world w;
	struct user_namespace *owner = w.owner(SHIM_CAP_NONE);
	struct pid_namespace *ns = w.new_ns(shim_root(), owner);

	w.start_init(ns);
	EXPECT_EQ(0, w.try_alloc(ns));
	EXPECT_EQ(0u, shim_user_ns_asked(owner));
}

TEST_F(set_tid, order_inner_level_is_judged_first)
{
	world w;
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

TEST_F(set_tid, order_all_levels_are_judged_before_any_is_claimed)
{
	world w;
	struct user_namespace *denied = w.owner();
	struct pid_namespace *outer = w.new_ns(shim_root(), denied);

	w.start_init(outer);

	struct pid_namespace *inner = w.new_ns(outer);

	w.start_init(inner);
	w.alloc(inner, { 1000, 1000 });

	/* An inner PID is busy, the inner namespace is dead, memory is short. */
	const auto expect = [&](int err, const tids &wanted) {
		const shim_stats before = stats();

		EXPECT_EQ(err, w.try_alloc(inner, wanted));
		EXPECT_EQ(before.locks, stats().locks);
		EXPECT_EQ(before.sleeping, stats().sleeping);
	};

	expect(-EINVAL, { 1000, 0 });
	expect(-EINVAL, { 1000, 32768 });
	expect(-EINVAL, { 1000, 1000, -1 });
	expect(-EINVAL, { 1000, 1000, 1000, 1000 });
	shim_user_ns_set_caps(denied, SHIM_CAP_NONE);
	expect(-EPERM, { 1000, 1001 });
	shim_disable_pid_allocation(inner);
	expect(-EPERM, { 1001, 1001 });
	shim_set_alloc(SHIM_SLEEPING, 0);
	expect(-EPERM, { 1001, 1001 });
}

/*
 * The claim.
 */

TEST_F(alloc_pid, request_of_any_size_is_granted)
{
	for (unsigned int level : some_levels) {
		world w;
		const auto nss = w.chain(level);

		for (std::size_t size = 0; size <= level + 1; size++) {
			const tids wanted = ask(size, 1000 + 900 * size);
			const auto before = states(nss);
			struct pid *pid = w.alloc(nss.back(), wanted);
			const tids got = numbers(pid);

			ASSERT_EQ(level + 1, got.size());
			EXPECT_EQ(wanted, tids(got.begin(), got.begin() + size));
			EXPECT_EQ(1u, shim_pid_refs(pid));
			EXPECT_TRUE(shim_pid_is_fresh(pid));
			for (unsigned int i = 0; i <= level; i++) {
				const ns_state after(nss[i]);
				const bool asked = level - i < size;
				const int nr = shim_pid_nr(pid, i);

				EXPECT_EQ(nss[i], shim_pid_ns(pid, i));
				EXPECT_EQ(pid, shim_find_pid(nr, nss[i]));
				EXPECT_EQ(before[i].allocated + 1, after.allocated);
				EXPECT_EQ(before[i].refs + (i && i == level), after.refs);
				/* row 17 */
				EXPECT_EQ(asked ? before[i].cursor : nr + 1u, after.cursor)
					<< "level " << i << ", size " << size;
			}
		}
	}
}

TEST_F(alloc_pid, row11_pid_in_use_at_any_level)
{
	for (unsigned int level : some_levels) {
		world w;
		const auto nss = w.chain(level);
		struct pid *busy = w.alloc(nss.back(), ask(level + 1, 5000));
		const auto before = states(nss);

		for (std::size_t i = 0; i <= level; i++) {
			for (std::size_t size = i + 1; size <= level + 1; size++) {
				tids wanted = ask(size);

				wanted[i] = 5000 + i;
				ASSERT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted))
					<< i << " of " << size;
			}
		}
		/* row 16 */
		shim_rcu_barrier();
		EXPECT_EQ(before, states(nss));

		w.free(busy);
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(level + 1, 5000)));
	}
}

TEST_F(alloc_pid, row11_init_of_a_namespace_is_in_use)
{
	world w;
	const auto nss = w.chain(2);

	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1000, 1 }));
}

/* What is reported of the calls since. */
class refusals {
public:
	refusals() { shim_get_refusal(&before_); }

	/* One, of this level. */
	void expect(unsigned int level, int nr, shim_reason reason, int error) const
	{
		shim_refusal last;

		shim_get_refusal(&last);
		EXPECT_EQ(before_.count + 1, last.count);
		EXPECT_EQ(level, last.level);
		EXPECT_EQ(nr, last.nr);
		EXPECT_EQ(reason, last.reason);
		EXPECT_EQ(error, last.error);
	}

	void expect_none() const
	{
		shim_refusal last;

		shim_get_refusal(&last);
		EXPECT_EQ(before_.count, last.count);
	}

private:
	shim_refusal before_;
};

class row29 : public clean {
protected:
	void SetUp() override
	{
		clean::SetUp();
		w_.emplace();
		nss_ = w_->chain(4);
		target_ = nss_.back();
	}

	void TearDown() override
	{
		w_.reset();
		clean::TearDown();
	}

	/* Refused once, and reported once. */
	void expect(unsigned int level, int nr, shim_reason reason, int error, const tids &wanted)
	{
		const refusals reported;

		EXPECT_EQ(error, w_->try_alloc(target_, wanted));
		reported.expect(level, nr, reason, error);
	}

	std::optional<world> w_;
	std::vector<struct pid_namespace *> nss_;
	struct pid_namespace *target_;
};

TEST_F(row29, granted_request_is_not_reported)
{
	const refusals reported;

	w_->alloc(target_, ask(5));
	reported.expect_none();
}

TEST_F(row29, call_without_request_is_not_reported)
{
	const refusals reported;
	struct pid *pid = w_->alloc(target_);

	shim_disable_pid_allocation(target_);
	EXPECT_EQ(-ENOMEM, w_->try_alloc(target_));
	EXPECT_FALSE(shim_pid_may_attach(pid, nullptr, 0));
	shim_set_alloc(SHIM_SLEEPING, 0);
	EXPECT_EQ(-ENOMEM, w_->try_alloc(target_));
	reported.expect_none();
}

TEST_F(row29, invalid_request)
{
	expect(4, 6, SHIM_TOO_MANY, -EINVAL, { 1, 2, 3, 4, 5, 6, 7 });
	expect(2, 0, SHIM_OUT_OF_RANGE, -EINVAL, { 2000, 2001, 0, -1 });
	expect(4, 32768, SHIM_OUT_OF_RANGE, -EINVAL, { 32768 });
	target_ = w_->new_ns(nss_[2]);
	expect(3, 2, SHIM_NO_INIT_YET, -EINVAL, { 2, 2000 });
}

TEST_F(row29, forbidden_request)
{
	struct user_namespace *denied = w_->owner(SHIM_CAP_NONE);

	shim_ns_set_owner(nss_[1], denied);
	expect(1, 2003, SHIM_NO_CAPABILITY, -EPERM, { 2000, 2001, 2002, 2003, 2004 });
}

TEST_F(row29, pid_in_use)
{
	expect(4, 1, SHIM_IN_USE, -EEXIST, { 1, 1 });
	expect(1, 1, SHIM_IN_USE, -EEXIST, { 2000, 2001, 2002, 1, 2003 });
}

TEST_F(row29, automatic_level_without_init)
{
	struct pid_namespace *fresh = w_->new_ns(nss_[3]);
	struct pid_namespace *inner = w_->new_ns(fresh);

	w_->alloc(fresh);
	target_ = inner;
	expect(4, 0, SHIM_NO_INIT_YET, -EINVAL, { 1 });
}

TEST_F(row29, lost_init)
{
	shim_disable_pid_allocation(nss_[2]);
	expect(2, 2002, SHIM_LOST_INIT, -ENOMEM, { 2000, 2001, 2002 });
	expect(2, 0, SHIM_LOST_INIT, -ENOMEM, { 2000 });
}

TEST_F(row29, lost_init_at_the_birth)
{
	const tids wanted = { 2000, 2001 };
	struct pid *pid = w_->alloc(target_, wanted);

	for (unsigned int level : { 2, 3 }) {
		const refusals reported;

		shim_disable_pid_allocation(nss_[level]);
		EXPECT_FALSE(shim_pid_may_attach(pid, wanted.data(), wanted.size()));
		reported.expect(level, level == 3 ? 2001 : 0, SHIM_LOST_INIT, -ENOMEM);
	}
}

TEST_F(row29, no_memory)
{
	/* For the struct pid; then for a node of an IDR. */
	shim_drop_preloaded();
	for (long enough : { 0, 1 }) {
		shim_set_alloc(SHIM_SLEEPING, enough);
		expect(4, 32000, SHIM_NO_MEMORY, -ENOMEM, { 32000, 32001 });
	}
}

TEST_F(alloc_pid, row12_namespace_at_any_level_lost_its_init)
{
	for (unsigned int level : some_levels) {
		for (unsigned int dead = 0; dead <= level; dead++) {
			world w;
			const auto nss = w.chain(level);

			shim_disable_pid_allocation(nss[dead]);

			const auto before = states(nss);

			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), ask(1)));
			EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), ask(level + 1)));
			shim_rcu_barrier();
			EXPECT_EQ(before, states(nss));
		}
	}
}

TEST_F(alloc_pid, row12_dead_namespace_is_not_worth_a_retry)
{
	world w;
	const auto nss = w.chain(32);

	shim_disable_pid_allocation(nss[0]);

	const shim_stats before = stats();

	EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
	EXPECT_EQ(before.locks + 1, stats().locks);
}

TEST_F(alloc_pid, order_claims_are_answered_from_the_innermost_outwards)
{
	world w;
	const auto nss = w.chain(2);

	w.alloc(nss.back(), { 1000, 1000, 1000 });
	shim_disable_pid_allocation(nss[1]);
	/* Level 2 is busy, level 1 dead, level 0 busy. */
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1000, 1001, 1001 }));
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[2], { 1001, 1001, 1000 }));
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[2], { 1001 }));
	/* A PID that is in use is reported even in a dead namespace. */
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 1001, 1000, 1001 }));
}

/* Takes all numbers of @ns below pid_max. */
static void exhaust(world &w, struct pid_namespace *ns)
{
	for (pid_t nr = 1; nr <= 300; nr++)
		w.try_alloc(ns, { nr });
}

TEST_F(alloc_pid, row13_no_automatic_pid_left_at_the_innermost_level)
{
	world w;
	const auto nss = w.chain(1);

	/* The outer levels number on from here, out of the way. */
	shim_set_pid_max(32768);
	shim_ns_set_cursor(nss[0], 1000);
	exhaust(w, nss[1]);
	shim_set_pid_max(301);
	shim_ns_set_cursor(nss[0], 0);

	const auto before = states(nss);

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[1]));
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[1], { 300 }));
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));
	shim_set_pid_max(302);
	EXPECT_EQ(0, w.try_alloc(nss[1]));
}

TEST_F(alloc_pid, row13_no_automatic_pid_left_at_an_outer_level)
{
	world w;
	const auto nss = w.chain(2);
	struct pid *last;

	exhaust(w, nss[0]);
	shim_set_pid_max(301);

	const auto before = states(nss);

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2]));
	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 100 }));

	const refusals reported;

	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 100, 100 }));
	reported.expect(0, 0, SHIM_NONE_FREE, -EAGAIN);
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], { 100, 100, 100 }));
	shim_rcu_barrier();
	EXPECT_EQ(before, states(nss));

	/* One is given back: it is found, and only once. */
	last = shim_find_pid(200, nss[0]);
	w.free(last);
	ASSERT_EQ(0, w.try_alloc(nss[2], { 100 }, &last));
	EXPECT_EQ(200, shim_pid_nr(last, 0));
	EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 101 }));
}

/*
 * Memory.
 */

TEST_F(alloc_pid, row14_preloading_is_enough_where_no_atomic_allocation_is)
{
	for (unsigned int level : some_levels) {
		for (pid_t nr : { 2000, 32767, SHIM_PID_MAX_LIMIT - 1 }) {
			world w;

			shim_set_pid_max(SHIM_PID_MAX_LIMIT);
			shim_set_alloc(SHIM_ATOMIC, 0);

			const auto nss = w.chain(level);

			EXPECT_EQ(0, w.try_alloc(nss.back(), tids(level + 1, nr)));
			for (struct pid_namespace *ns : nss)
				shim_ns_set_cursor(ns, nr - 100);
			EXPECT_EQ(0, w.try_alloc(nss.back()));
			EXPECT_EQ(0, w.try_alloc(nss.back(), { nr - 500 }));
		}
	}
}

TEST_F(alloc_pid, row14_retry_keeps_no_more_nodes_than_usual)
{
	const unsigned int usual = shim_usual_preload();

	for (unsigned int level : some_levels) {
		world w;
		const auto nss = w.chain(level);

		shim_drop_preloaded();
		shim_set_pid_max(SHIM_PID_MAX_LIMIT);
		EXPECT_EQ(0, w.try_alloc(nss.back(), tids(level + 1, SHIM_PID_MAX_LIMIT - 1)));
		EXPECT_GE(usual, shim_drop_preloaded()) << level;
		if (!level)
			continue;

		/* Nor does one that fails. */
		tids taken = tids(level + 1, SHIM_PID_MAX_LIMIT - 100);

		taken.back() = SHIM_PID_MAX_LIMIT - 1;
		EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), taken));
		EXPECT_GE(usual, shim_drop_preloaded()) << level;
	}
}

TEST_F(alloc_pid, row14_preload_that_fails_keeps_no_more_nodes_than_usual)
{
	const long usual = shim_usual_preload();
	world w;
	const auto nss = w.chain(32);

	shim_set_pid_max(SHIM_PID_MAX_LIMIT);
	/* Enough for the first try, and for a part of the second. */
	for (long enough = usual; enough < 4 * usual; enough++) {
		shim_drop_preloaded();
		shim_set_alloc(SHIM_SLEEPING, enough);
		EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back(), tids(33, SHIM_PID_MAX_LIMIT - 1)));
		shim_set_alloc(SHIM_SLEEPING, -1);
		EXPECT_GE(usual, shim_drop_preloaded()) << enough;
	}
}

/* Nodes that a failed claim has added may stay: they hold no number. */
static std::vector<ns_state> but_nodes(std::vector<ns_state> nss)
{
	for (ns_state &s : nss)
		s.nodes = 0;
	return nss;
}

TEST_F(alloc_pid, row14_every_allocation_may_fail_once)
{
	unsigned int points = 0;

	for (long atomic : { 0, -1 }) {
		for (unsigned int level : { 0u, 1u, 4u, 32u }) {
			for (std::size_t size : { 0u, 1u, level + 1 }) {
				for (unsigned long nth = 1;; nth++) {
					world w;
					const auto nss = w.chain(level);
					const tids wanted = ask(size, 31000);

					shim_drop_preloaded();
					shim_set_alloc(SHIM_ATOMIC, atomic);

					const auto before = states(nss);

					shim_fail_nth(nth);

					const int err = w.try_alloc(nss.back(), wanted);

					if (shim_fail_pending())
						break;
					points++;
					if (!err)
						continue;
					EXPECT_EQ(-ENOMEM, err);
					shim_rcu_barrier();
					EXPECT_EQ(but_nodes(before), but_nodes(states(nss)));
					EXPECT_EQ(0, w.try_alloc(nss.back(), wanted));
				}
			}
		}
	}
	RecordProperty("points", points);
	EXPECT_GT(points, 100u);
}

TEST_F(alloc_pid, row14_memory_runs_out_at_any_allocation)
{
	for (unsigned int level : { 0u, 1u, 4u, 32u }) {
		for (std::size_t size : { 0u, 1u, level + 1 }) {
			int err = -ENOMEM;

			for (long enough = 0; err; enough++) {
				ASSERT_LT(enough, 1000) << "it never succeeds";
				world w;
				const auto nss = w.chain(level);
				const tids wanted = ask(size, 31000);

				shim_drop_preloaded();

				const auto before = states(nss);

				shim_set_alloc(SHIM_SLEEPING, enough);
				err = w.try_alloc(nss.back(), wanted);
				shim_set_alloc(SHIM_SLEEPING, -1);
				if (!err)
					continue;
				EXPECT_EQ(-ENOMEM, err);
				shim_rcu_barrier();
				EXPECT_EQ(but_nodes(before), but_nodes(states(nss)));
				EXPECT_EQ(0, w.try_alloc(nss.back(), wanted));
			}
		}
	}
}

/*
 * All or nothing.
 */

TEST_F(alloc_pid, row15_claim_takes_the_lock_once)
{
	for (unsigned int level : some_levels) {
		world w;
		const auto nss = w.chain(level);

		for (std::size_t size : { 0u, 1u, level + 1 }) {
			const tids wanted = ask(size, 1000 + 900 * size);

			/* Atomic allocations succeed: the usual case. */
			shim_set_alloc(SHIM_ATOMIC, -1);

			const auto locks = [before = stats().locks] {
				return stats().locks - before;
			};
			struct pid *pid = w.alloc(nss.back(), wanted);

			EXPECT_EQ(1u, locks());
			if (size) {
				/* A lookup finds the innermost one of several. */
				EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted));
				EXPECT_EQ(size > 1 ? 1u : 2u, locks());
			}
			if (size > 1) {
				tids taken_further_out = wanted;

				taken_further_out.front()++;
				EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), taken_further_out));
				EXPECT_EQ(2u, locks());
			}
			if (!size) {
				w.alloc(nss.back());
				EXPECT_EQ(2u, locks());
			}
			w.free(pid);
			EXPECT_EQ(3u, locks());
		}
	}
}

TEST_F(alloc_pid, row16_failed_claim_skips_no_pid)
{
	world w;
	const auto nss = w.chain(4);
	const tids next = numbers(w.alloc(nss.back()));

	w.alloc(nss.back(), tids(5, 1000));
	for (std::size_t i = 0; i < 5; i++) {
		tids wanted = ask(i + 1, 2000);

		wanted[i] = 1000;
		EXPECT_EQ(-EEXIST, w.try_alloc(nss.back(), wanted));
	}
	shim_disable_pid_allocation(nss[0]);
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss.back()));
	/* Alive again, for the test only: nothing else has changed. */
	for (std::size_t i = 1; i < 5; i++)
		EXPECT_EQ(next[4 - i] + 1u, shim_ns_cursor(nss[i]));
	EXPECT_EQ(next[4] + 1u, shim_ns_cursor(nss[0]));
}

TEST_F(alloc_pid, row16_failure_at_the_wrap_does_not_move_the_sequence)
{
	world w;
	const auto nss = w.chain(1);

	w.alloc(nss[1], { 1000, 1000 });
	/* The inner level would wrap, then the outer one is busy. */
	shim_ns_set_cursor(nss[1], 32768);
	shim_disable_pid_allocation(nss[0]);
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[1]));
	EXPECT_EQ(32768u, shim_ns_cursor(nss[1]));
}

TEST_F(alloc_pid, row17_chosen_pid_leaves_the_sequence_alone)
{
	world w;
	const auto nss = w.chain(1);
	const tids last = numbers(w.alloc(nss[1]));

	w.alloc(nss[1], { last[0] + 1 });
	EXPECT_EQ(last[0] + 1u, shim_ns_cursor(nss[1]));
	EXPECT_EQ(last[1] + 2u, shim_ns_cursor(nss[0]));
	/* What was chosen is passed over. */
	EXPECT_EQ((tids{ last[0] + 2, last[1] + 2 }), numbers(w.alloc(nss[1])));
}

TEST_F(alloc_pid, row18_given_back_is_free_at_every_level)
{
	world w;
	const auto nss = w.chain(4);
	auto before = states(nss);

	for (std::size_t size = 0; size <= 5; size++) {
		w.free(w.alloc(nss.back(), ask(size)));
		EXPECT_EQ(0, w.try_alloc(nss.back(), ask(size, 2000 * (size + 1))));
	}
	w.free(w.alloc(nss.back(), ask(5)));
	EXPECT_EQ(0, w.try_alloc(nss.back(), ask(5)));
}

TEST_F(alloc_pid, row19_first_process_may_fail_late)
{
	for (unsigned int level : { 1u, 2u, 31u, 32u }) {
		world w;
		const auto nss = w.chain(level - 1);
		struct pid_namespace *fresh = w.new_ns(nss.back());

		for (const tids &wanted : { tids{}, { 1 }, {}, { 1 }, { 1 } }) {
			struct pid *first = w.alloc(fresh, wanted);

			EXPECT_EQ(1, numbers(first).front());
			w.free(first);
			EXPECT_EQ(SHIM_PIDNS_ADDING, shim_ns_allocated(fresh));
			EXPECT_EQ(0u, shim_ns_cursor(fresh));
		}

		struct pid *init = w.start_init(fresh);

		EXPECT_EQ(1, numbers(init).front());
		EXPECT_EQ(2, numbers(w.alloc(fresh)).front());
	}
}

TEST_F(alloc_pid, row19_first_process_may_fail_early)
{
	world w;
	const auto nss = w.chain(1);
	struct pid_namespace *fresh = w.new_ns(nss.back());

	w.alloc(nss[1], { 1000, 1000 });
	EXPECT_EQ(-EEXIST, w.try_alloc(fresh, { 1, 1000 }));
	EXPECT_EQ(-EEXIST, w.try_alloc(fresh, { 1, 1001, 1000 }));
	shim_set_alloc(SHIM_SLEEPING, 1);
	shim_drop_preloaded();
	EXPECT_EQ(-ENOMEM, w.try_alloc(fresh));
	shim_set_alloc(SHIM_SLEEPING, -1);
	EXPECT_EQ(0u, shim_ns_cursor(fresh));
	EXPECT_EQ(1, numbers(w.start_init(fresh)).front());
}

TEST_F(alloc_pid, row23_first_process_is_pid_1)
{
	world w;
	struct pid_namespace *automatic = w.new_ns(shim_root());
	struct pid_namespace *chosen = w.new_ns(shim_root());

	EXPECT_EQ(1, numbers(w.alloc(automatic)).front());
	EXPECT_EQ((tids{ 1, 1000 }), numbers(w.alloc(chosen, { 1, 1000 })));
}

/*
 * Automatic numbers.
 */

TEST_F(alloc_pid, row26_numbers_go_up_one_by_one)
{
	world w;
	const auto nss = w.chain(1);

	for (pid_t nr = 2; nr < 200; nr++)
		EXPECT_EQ((tids{ nr, nr + 1 }), numbers(w.alloc(nss[1])));
}

TEST_F(alloc_pid, row26_number_given_back_is_not_used_again_at_once)
{
	world w;
	struct pid *pid = w.alloc(shim_root());
	const pid_t nr = shim_pid_nr(pid, 0);

	w.free(pid);
	EXPECT_EQ(nr + 1, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_sequence_goes_on_where_it_is_set)
{
	world w;

	/* ns_last_pid */
	shim_ns_set_cursor(shim_root(), 5000);
	EXPECT_EQ(5000, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(5001, shim_pid_nr(w.alloc(shim_root()), 0));
	shim_ns_set_cursor(shim_root(), 4999);
	EXPECT_EQ(4999, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(5002, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_ns_last_pid_is_written_under_the_lock)
{
	world w;
	const shim_stats before = stats();

	shim_set_last_pid(shim_root(), 4999);
	EXPECT_EQ(before.locks + 1, stats().locks);
	EXPECT_EQ(5000, shim_pid_nr(w.alloc(shim_root()), 0));
	shim_set_last_pid(shim_root(), 0);
	EXPECT_EQ(1u, shim_ns_cursor(shim_root()));
}

TEST_F(alloc_pid, row26_sequence_starts_again_above_the_reserved_numbers)
{
	world w;

	shim_ns_set_cursor(shim_root(), 32767);
	EXPECT_EQ(32767, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(300, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(301, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, row26_reserved_numbers_are_for_a_sequence_that_is_there)
{
	for (const auto &[cursor, nr] : std::vector<std::pair<unsigned int, int>>{
		     { 0, 2 }, { 299, 299 }, { 300, 300 }, { 301, 301 } }) {
		world w;

		shim_ns_set_cursor(shim_root(), cursor);
		EXPECT_EQ(nr, shim_pid_nr(w.alloc(shim_root()), 0)) << cursor;
	}

	/* Up to 300 the search starts again at 1, above it at 300. */
	world w;

	exhaust(w, shim_root());
	shim_set_pid_max(301);
	w.free(shim_find_pid(100, shim_root()));
	shim_ns_set_cursor(shim_root(), 301);
	EXPECT_EQ(-EAGAIN, w.try_alloc(shim_root()));
	shim_ns_set_cursor(shim_root(), 300);
	EXPECT_EQ(0, w.try_alloc(shim_root()));
}

TEST_F(alloc_pid, row26_sequence_survives_a_lower_pid_max)
{
	world w;

	shim_ns_set_cursor(shim_root(), 20000);
	w.alloc(shim_root());
	shim_set_pid_max(1000);
	EXPECT_EQ(300, shim_pid_nr(w.alloc(shim_root()), 0));
	EXPECT_EQ(20000, shim_pid_nr(shim_find_pid(20000, shim_root()), 0));
	shim_set_pid_max(32768);
	EXPECT_EQ(301, shim_pid_nr(w.alloc(shim_root()), 0));
}

TEST_F(alloc_pid, every_pid_has_an_inode_number_of_its_own)
{
	world w;
	const uint64_t ino = shim_pid_ino(w.alloc(shim_root()));

	EXPECT_LT(300u, ino);
	EXPECT_EQ(-EEXIST, w.try_alloc(shim_root(), { 1 }));
	EXPECT_EQ(ino + 1, shim_pid_ino(w.alloc(shim_root())));
}

/*
 * What comes after.
 */

TEST_F(alloc_pid, attaching_needs_every_namespace)
{
	for (unsigned int dead = 1; dead <= 4; dead++) {
		world w;
		const auto nss = w.chain(4);
		struct pid *pid = w.alloc(nss.back());

		EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
		shim_disable_pid_allocation(nss[dead]);
		EXPECT_FALSE(shim_pid_may_attach(pid, nullptr, 0)) << dead;
	}
}

/* Its init cannot exit: no fork() has to read a line that all of them write. */
TEST_F(alloc_pid, attaching_does_not_look_at_level_0)
{
	for (unsigned int level : { 0, 2 }) {
		world w;
		const auto nss = w.chain(level);
		struct pid *pid = w.alloc(nss.back());

		shim_disable_pid_allocation(nss[0]);
		EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
	}
}

TEST_F(alloc_pid, attaching_needs_no_namespace_further_in)
{
	world w;
	const auto nss = w.chain(2);
	struct pid *pid = w.alloc(nss[1]);

	shim_disable_pid_allocation(nss[2]);
	EXPECT_TRUE(shim_pid_may_attach(pid, nullptr, 0));
}

TEST_F(free_pid, pid_is_not_found_afterwards)
{
	world w;
	const auto nss = w.chain(4);
	struct pid *pid = w.alloc(nss.back(), ask(5));

	w.free(pid);
	for (unsigned int i = 0; i <= 4; i++)
		EXPECT_EQ(nullptr, shim_find_pid(1000 + i, nss[4 - i]));
}

TEST_F(free_pid, pid_lives_until_readers_are_done)
{
	world w;
	const auto nss = w.chain(4);
	struct pid *pid = w.alloc(nss.back(), ask(5));
	const shim_stats before = stats();

	shim_read_lock();
	w.free(pid);
	/* AddressSanitizer watches. */
	EXPECT_EQ(ask(5), numbers(pid));
	shim_read_unlock();
	EXPECT_EQ(before.live_pids, stats().live_pids);
	shim_rcu_barrier();
	EXPECT_EQ(before.live_pids - 1, stats().live_pids);
}

TEST_F(free_pid, pid_and_its_namespace_live_as_long_as_they_are_held)
{
	world w;
	struct pid_namespace *ns = w.new_ns(shim_root());
	struct pid *init = w.start_init(ns);
	struct pid *held = w.alloc(ns);
	const unsigned int refs = shim_ns_refs(ns);

	shim_get_pid(held);
	shim_disable_pid_allocation(ns);
	w.free(held);
	w.free(init);
	shim_rcu_barrier();
	/* The init's is gone, ours and that of @held are there. */
	EXPECT_EQ(refs - 1, shim_ns_refs(ns));
	EXPECT_EQ(1u, shim_pid_refs(held));
	shim_put_pid(held);
	EXPECT_EQ(refs - 2, shim_ns_refs(ns));
}

TEST_F(free_pid, works_with_interrupts_off)
{
	world w;
	const auto nss = w.chain(4);
	struct pid *pid;

	ASSERT_EQ(0, shim_alloc_pid(nss.back(), nullptr, 0, &pid));
	shim_free_pid_irqs_off(pid);
}

TEST_F(free_pid, dying_init_is_woken_when_it_is_alone)
{
	world w;
	struct pid_namespace *ns = w.new_ns(shim_root());
	struct pid *init = w.start_init(ns);
	struct pid *others[4];

	for (struct pid *&pid : others)
		pid = w.alloc(ns);
	/* Nobody is woken as long as the namespace takes processes. */
	w.free(others[0]);
	EXPECT_EQ(0u, shim_ns_woken(ns));
	shim_disable_pid_allocation(ns);
	w.free(others[1]);
	EXPECT_EQ(0u, shim_ns_woken(ns));
	/* Two are left: perhaps init's last thread and its exited leader. */
	w.free(others[2]);
	EXPECT_EQ(1u, shim_ns_woken(ns));
	w.free(others[3]);
	EXPECT_EQ(2u, shim_ns_woken(ns));
	w.free(init);
	EXPECT_EQ(2u, shim_ns_woken(ns));
	EXPECT_EQ(0u, shim_ns_allocated(ns));
}

TEST_F(free_pid, last_pid_of_a_live_namespace_is_worth_a_warning)
{
	shim_stats before;
	{
		world w;
		struct pid_namespace *ns = w.new_ns(shim_root());
		struct pid *init = w.start_init(ns);

		before = stats();
		testing::internal::CaptureStderr();
		w.free(init);
		testing::internal::GetCapturedStderr();
		EXPECT_EQ(before.warnings + 1, stats().warnings);
	}
	/* Expected here, so that nothing is left to complain about. */
	SetUp();
}
