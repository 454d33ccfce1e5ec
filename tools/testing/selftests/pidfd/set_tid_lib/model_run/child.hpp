/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the child of a call does.
 */
#ifndef SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHILD_HPP
#define SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHILD_HPP

#include "exchange.hpp"
#include "../process.hpp"
#include "../request.hpp"
#include "../syscall.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace model
{
[[noreturn]] inline void sleep_for_ever()
{
	for (;;)
		pause();
}

/* Leads a process group or a session, and leaves a member behind. */
inline void lead(bool session, Result &result)
{
	const clone_args args = Request{}.sibling().args();

	session ? setsid() : setpgid(0, 0);
	const long member = sys_clone3(&args, sizeof(args));
	if (member < 0)
		result.member.count = member;
	if (!member) {
		die_with_parent();
		if (session)
			setpgid(0, 0);
		result.member.fill();
		sleep_for_ever();
	}
	while (!result.member.count)
		sched_yield();
}

struct Started {
	Role role;
	Result *result;
};

/* The main function of a child; arg is a Started. */
inline int child_main(void *arg)
{
	const Started *started = static_cast<Started *>(arg);
	Result &result = *started->result;

	if (started->role != Role::thread)
		die_with_parent();
	result.child.fill();
	switch (started->role) {
	case Role::leaves:
	case Role::zombie:
		break;
	case Role::thread:
		while (!result.go)
			syscall(__NR_sched_yield);
		break;
	case Role::sleeps:
	case Role::init:
		sleep_for_ever();
	case Role::group:
	case Role::session:
		lead(started->role == Role::session, result);
		break;
	}
	return 0;
}

} // namespace model

#endif /* SELFTESTS_PIDFD_SET_TID_LIB_MODEL_RUN_CHILD_HPP */
