// SPDX-License-Identifier: GPL-2.0
/*
 * What differs between kernels, here for Linux 7.3: each namespace has its own pid_max,
 * pidfs may refuse a PID, interrupts stay on, and nothing is freed under tasklist_lock.
 */

#include <cerrno>

#include "tests/suite.hpp"

class pid_max : public CleanTest {};
class pidfs : public CleanTest {
protected:
	void TearDown() override
	{
		shim_fail_pidfs(false);
		CleanTest::TearDown();
	}
};
class shim : public CleanTest {};

TEST_F(pid_max, row08_every_level_has_its_own_range)
{
	World w;
	const auto nss = w.chain(4);

	/* 1000, 1100 and so on, from the innermost level outwards. */
	for (std::size_t i = 0; i < 5; i++)
		shim_ns_set_pid_max(nss[4 - i], 1000 + 100 * i);

	const Pids ends = { 1000, 1100, 1200, 1300, 1400 };
	const auto before = states(nss);

	for (std::size_t i = 0; i < 5; i++) {
		for (std::size_t size = i + 1; size <= 5; size++) {
			Pids wanted = ask(size, 500);

			wanted[i] = ends[i];

			const Refusals reported;

			EXPECT_EQ(-EINVAL, w.try_alloc(nss[4], wanted)) << i << " of " << size;
			reported.expect(4 - i, ends[i], SHIM_OUT_OF_RANGE, -EINVAL);
		}
	}
	EXPECT_EQ(before, states(nss));
	EXPECT_EQ(0, w.try_alloc(nss[4], { 999, 1099, 1199, 1299, 1399 }));
}

TEST_F(pid_max, row13_every_level_has_its_own_range)
{
	for (unsigned int full = 0; full <= 2; full++) {
		World w;
		const auto nss = w.chain(2);

		/* The others go on where they are. */
		exhaust(w, nss[full]);
		shim_ns_set_pid_max(nss[full], 301);

		const auto before = states(nss);

		EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2]));
		if (full < 2) {
			const Refusals reported;

			EXPECT_EQ(-EAGAIN, w.try_alloc(nss[2], { 1000 }));
			reported.expect(full, 0, SHIM_NONE_FREE, -EAGAIN);
		}
		shim_rcu_barrier();
		EXPECT_EQ(before, states(nss));
		shim_ns_set_pid_max(nss[full], 302);
		EXPECT_EQ(301, shim_pid_nr(w.alloc(nss[2]), full));
	}
}

TEST_F(pid_max, row26_sequence_wraps_at_its_own_end)
{
	World w;
	const auto nss = w.chain(2);

	for (unsigned int level = 0; level <= 2; level++) {
		shim_ns_set_pid_max(nss[level], 1000 * (level + 1));
		shim_ns_set_cursor(nss[level], 1000 * (level + 1) - 1);
	}
	EXPECT_EQ((Pids{ 2999, 1999, 999 }), numbers(w.alloc(nss[2])));
	EXPECT_EQ((Pids{ 300, 300, 300 }), numbers(w.alloc(nss[2])));
}

TEST_F(pid_max, new_namespace_has_all_numbers)
{
	World w;
	const auto nss = w.chain(1);

	w.set_pid_max(301);

	struct pid_namespace *fresh = w.new_ns(nss[1]);

	w.start_init(fresh);
	EXPECT_EQ(0, w.try_alloc(fresh, { SHIM_PID_MAX_LIMIT - 1 }));
	EXPECT_EQ(-EINVAL, w.try_alloc(fresh, { SHIM_PID_MAX_LIMIT }));
	EXPECT_EQ(-EINVAL, w.try_alloc(fresh, { 1000, 301 }));
}

/* Row 18: what was claimed is given back, but automatic numbers are used up. */
static std::vector<NsState> after_refusal(std::vector<NsState> nss, std::size_t size)
{
	for (std::size_t i = 0; i + size < nss.size(); i++)
		nss[i].cursor++;
	return nss;
}

TEST_F(pidfs, row14_refusal_gives_every_level_back)
{
	for (unsigned int level : some_levels) {
		for (std::size_t size : { 0u, 1u, level + 1 }) {
			World w;
			const auto nss = w.chain(level);
			const Pids wanted = ask(size);

			/* Nodes that hold no other number would stay behind. */
			w.alloc(nss[level], ask(size, 1010));

			const auto before = states(nss);
			const Refusals reported;

			shim_fail_pidfs(true);
			EXPECT_EQ(-ENOMEM, w.try_alloc(nss[level], wanted));
			if (size)
				reported.expect(level, wanted[0], SHIM_NO_MEMORY, -ENOMEM);
			else
				reported.expect_none();
			shim_fail_pidfs(false);
			shim_rcu_barrier();
			EXPECT_EQ(after_refusal(before, size), states(nss));
			EXPECT_EQ(0, w.try_alloc(nss[level], wanted));
		}
	}
}

TEST_F(pidfs, row19_refusal_of_a_first_process_resets_its_namespace)
{
	for (unsigned int level : { 1u, 2u, 31u, 32u }) {
		World w;
		const auto nss = w.chain(level - 1);
		struct pid_namespace *fresh = w.new_ns(nss.back());
		const NsState before(fresh);

		for (const Pids &wanted : { Pids{}, { 1 }, { 1, 1000 } }) {
			shim_fail_pidfs(true);
			EXPECT_EQ(-ENOMEM, w.try_alloc(fresh, wanted));
			shim_fail_pidfs(false);
			shim_rcu_barrier();
			EXPECT_EQ(SHIM_PIDNS_ADDING, shim_ns_allocated(fresh));
			EXPECT_EQ(0u, shim_ns_cursor(fresh));
			EXPECT_EQ(before.refs, shim_ns_refs(fresh));
			EXPECT_EQ(0, shim_ns_active(fresh));
		}
		EXPECT_EQ(1, numbers(w.start_init(fresh)).front());
		EXPECT_EQ(2, numbers(w.alloc(fresh)).front());
	}
}

/* It was published: lookups may have found it. */
TEST_F(pidfs, refused_pid_lives_until_readers_are_done)
{
	World w;
	const auto nss = w.chain(1);
	const shim_stats before = stats();

	shim_fail_pidfs(true);
	EXPECT_EQ(-ENOMEM, w.try_alloc(nss[1], { 1000, 1000 }));
	EXPECT_EQ(nullptr, shim_find_pid(1000, nss[1]));
	EXPECT_EQ(before.live_pids + 1, stats().live_pids);
	shim_rcu_barrier();
	EXPECT_EQ(before.live_pids, stats().live_pids);
}

TEST_F(pidfs, has_every_pid_from_its_claim_to_its_release)
{
	World w;
	const auto nss = w.chain(2);
	const shim_stats before = stats();
	struct pid *pid = w.alloc(nss[2]);

	EXPECT_NE(0u, shim_pid_ino(pid));
	EXPECT_EQ(before.live_in_pidfs + 1, stats().live_in_pidfs);
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], numbers(pid)));
	EXPECT_EQ(before.live_in_pidfs + 1, stats().live_in_pidfs);
	w.free(pid);
	EXPECT_EQ(before.live_in_pidfs, stats().live_in_pidfs);
}

TEST_F(pidfs, namespace_is_active_for_its_own_processes)
{
	World w;
	const auto nss = w.chain(2);
	const auto active = [&] {
		return std::vector{ shim_ns_active(nss[0]), shim_ns_active(nss[1]),
				    shim_ns_active(nss[2]) };
	};

	EXPECT_EQ((std::vector{ 1L, 1L, 1L }), active());

	struct pid *pid = w.alloc(nss[2], ask(3));

	EXPECT_EQ((std::vector{ 1L, 1L, 2L }), active());
	EXPECT_EQ(-EEXIST, w.try_alloc(nss[2], ask(3)));
	EXPECT_EQ((std::vector{ 1L, 1L, 2L }), active());
	/* Not for those who only hold the struct pid. */
	shim_get_pid(pid);
	w.free(pid);
	shim_rcu_barrier();
	EXPECT_EQ((std::vector{ 1L, 1L, 1L }), active());
	shim_put_pid(pid);
}

/* pidmap_lock must not be waited for with interrupts off, nor under tasklist_lock. */
TEST_F(free_pid, not_under_tasklist_lock)
{
	World w;
	struct pid *pid = w.alloc(shim_root());

	EXPECT_DEATH(shim_free_pid_under_tasklist_lock(pid), "tasklist");
}

TEST_F(shim, notices_a_lock_with_interrupts_off)
{
	shim_lock_irqs_on();
	EXPECT_DEATH(shim_lock_irqs_off(), "irqs_off");
}
