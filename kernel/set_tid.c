// SPDX-License-Identifier: GPL-2.0
/*
 * The set_tid request of clone3(): read it from user space, validate it.
 *
 * A request is an array of PIDs. set_tid[0] is the PID in the namespace that
 * the child is created in (the target), set_tid[1] the PID in its parent, and
 * so on outwards. Levels beyond the end of the array get an automatic PID.
 *
 * Nothing here claims a PID; kernel/pid_alloc.c does, and only after the whole
 * request has been validated. The rules are written down for user space in
 * Documentation/userspace-api/set_tid.rst.
 */

#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/pid.h>
#include <linux/uaccess.h>

#include "set_tid.h"

/**
 * set_tid_args_valid - check the two set_tid fields of struct clone_args
 * @uptr: address of the array in user space, 0 for no request
 * @size: number of PIDs in the array
 *
 * Both fields are compared as user space passed them, before anything narrows
 * them: a size of 2^32 + 1 is too large, not 1. The array is not touched, so a
 * caller can probe for set_tid with a bad address and no size.
 *
 * Context: Any context.
 * Return: %true if there is no request, or one of a possible size.
 */
bool set_tid_args_valid(u64 uptr, u64 size)
{
	return !uptr == !size && size <= SET_TID_MAX;
}

/**
 * set_tid_copy_from_user - read a request
 * @set_tid: receives @size PIDs; has room for %SET_TID_MAX
 * @uptr: address of the array in user space
 * @size: number of PIDs, accepted by set_tid_args_valid(); may be 0
 *
 * Context: Process context. May sleep (page faults).
 * Return: 0, or %-EFAULT if a part of the array cannot be read.
 */
int set_tid_copy_from_user(pid_t *set_tid, u64 uptr, size_t size)
{
	if (size && copy_from_user(set_tid, u64_to_user_ptr(uptr),
				   size * sizeof(*set_tid)))
		return -EFAULT;
	return 0;
}

/**
 * set_tid_permit - validate a request: may these PIDs be asked for here?
 * @ns: the target namespace
 * @set_tid: the PIDs, innermost first
 * @size: number of PIDs, 0 for no request
 *
 * Walks from @ns outwards. At every level that a PID is requested for, the PID
 * has to be in range, a namespace without an init takes nothing but its init,
 * and the caller needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE in the user
 * namespace that owns the level, as for ns_last_pid. Whether a PID is free is
 * not checked.
 *
 * Context: Process context, the credentials are those of current. The caller
 *	    holds a reference to @ns. Takes no locks.
 * Return: 0 if every level accepts its PID, otherwise the error of the
 *	   innermost level that does not: %-EINVAL for a PID out of range or a
 *	   first process that is not PID 1, %-EPERM for a missing capability.
 *	   %-EINVAL also for more PIDs than @ns has levels.
 */
int set_tid_permit(struct pid_namespace *ns, const pid_t *set_tid,
		   size_t size)
{
	const struct user_namespace *permitted = NULL;
	size_t i;

	if (size > ns->level + 1)
		return set_tid_refused(ns, set_tid[ns->level + 1],
				       SET_TID_TOO_MANY, -EINVAL);

	for (i = 0; i < size; i++, ns = ns->parent) {
		const int end = READ_ONCE(ns->pid_max);

		if (set_tid[i] < 1 || set_tid[i] >= end)
			return set_tid_refused(ns, set_tid[i],
					       SET_TID_OUT_OF_RANGE, -EINVAL);
		if (set_tid[i] != 1 && !READ_ONCE(ns->child_reaper))
			return set_tid_refused(ns, set_tid[i],
					       SET_TID_NO_INIT_YET, -EINVAL);

		/* Nested namespaces mostly share an owner: ask once for a run. */
		if (ns->user_ns == permitted)
			continue;
		if (!checkpoint_restore_ns_capable(ns->user_ns))
			return set_tid_refused(ns, set_tid[i],
					       SET_TID_NO_CAPABILITY, -EPERM);
		permitted = ns->user_ns;
	}

	return 0;
}
