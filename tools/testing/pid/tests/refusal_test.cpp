// SPDX-License-Identifier: GPL-2.0
/*
 * Row 29: a request that is refused is reported once.
 */

#include <cerrno>
#include <optional>

#include "tests/suite.hpp"

class row29 : public CleanTest {
protected:
	void SetUp() override
	{
		CleanTest::SetUp();
		w_.emplace();
		nss_ = w_->chain(4);
		target_ = nss_.back();
	}

	void TearDown() override
	{
		w_.reset();
		CleanTest::TearDown();
	}

	/* Refused once, and reported once. */
	void expect(unsigned int level, int nr, shim_reason reason, int error, const Pids &wanted)
	{
		const Refusals reported;

		EXPECT_EQ(error, w_->try_alloc(target_, wanted));
		reported.expect(level, nr, reason, error);
	}

	std::optional<World> w_;
	std::vector<struct pid_namespace *> nss_;
	struct pid_namespace *target_;
};

TEST_F(row29, granted_request_is_not_reported)
{
	const Refusals reported;

	w_->alloc(target_, ask(5));
	reported.expect_none();
}

TEST_F(row29, call_without_request_is_not_reported)
{
	const Refusals reported;
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
	shim_ns_set_pid_max(target_, 32768);
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
	const Pids wanted = { 2000, 2001 };
	struct pid *pid = w_->alloc(target_, wanted);

	for (unsigned int level : { 2, 3 }) {
		const Refusals reported;

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
