// SPDX-License-Identifier: GPL-2.0
/*
 * The functions under test, and struct pid, for C++.
 */

#include <linux/pid.h>
#include <linux/pid_namespace.h>

#include "shim/internal.h"
#ifndef SHIM_BASE
#include "set_tid.h"
#endif

int shim_alloc_pid(struct pid_namespace *ns, const pid_t *set_tid, size_t size,
		   struct pid **pid)
{
	/* The base's prototype is not const. */
	*pid = alloc_pid(ns, (pid_t *)set_tid, size);
	if (IS_ERR(*pid)) {
		int err = PTR_ERR(*pid);

		*pid = NULL;
		return err;
	}
	return 0;
}

void shim_free_pid(struct pid *pid)
{
	free_pid(pid);
}

void shim_free_pid_under_tasklist_lock(struct pid *pid)
{
#ifndef SHIM_FAST
	shim_cpu.irqs_off = true;
	shim_cpu.tasklist = true;
#endif
	free_pid(pid);
#ifndef SHIM_FAST
	shim_bug_on(!shim_cpu.irqs_off);
	shim_cpu.irqs_off = false;
	shim_cpu.tasklist = false;
#endif
}

void shim_disable_pid_allocation(struct pid_namespace *ns)
{
	disable_pid_allocation(ns);
}

#ifndef SHIM_BASE
bool shim_pid_may_attach(const struct pid *pid, const pid_t *set_tid, size_t size)
{
	return pid_may_attach(pid, set_tid, size);
}

void shim_set_last_pid(struct pid_namespace *ns, int nr)
{
	set_last_pid(ns, nr);
}

int shim_set_pid_min(struct pid_namespace *ns, int min)
{
	return set_pid_min(ns, min);
}

bool shim_set_tid_args_valid(u64 uptr, u64 size)
{
	return set_tid_args_valid(uptr, size);
}

int shim_set_tid_copy_from_user(pid_t *set_tid, u64 uptr, size_t size)
{
	return set_tid_copy_from_user(set_tid, uptr, size);
}

/* Instead of kernel/set_tid_trace.c. */
static __thread struct shim_refusal refusal;

#ifdef CONFIG_TRACEPOINTS
int set_tid_refused(struct pid_namespace *ns, pid_t nr,
		    enum set_tid_reason reason, int error)
{
	BUILD_BUG_ON(SHIM_TOO_MANY != (int)SET_TID_TOO_MANY);
	BUILD_BUG_ON(SHIM_IN_USE != (int)SET_TID_IN_USE);
	BUILD_BUG_ON(SHIM_NO_MEMORY != (int)SET_TID_NO_MEMORY);

	shim_bug_on(shim_cpu.locked);
	if (reason == SET_TID_IN_USE)
		might_sleep();
	refusal.count++;
	refusal.level = ns->level;
	refusal.nr = nr;
	refusal.reason = (enum shim_reason)reason;
	refusal.error = error;
	return error;
}
#endif

void shim_get_refusal(struct shim_refusal *last)
{
	*last = refusal;
}
#endif

void shim_read_lock(void)
{
	rcu_read_lock();
}

void shim_read_unlock(void)
{
	rcu_read_unlock();
}

struct pid *shim_find_pid(int nr, struct pid_namespace *ns)
{
	return find_pid_ns(nr, ns);
}

unsigned int shim_pid_level(const struct pid *pid)
{
	return pid->level;
}

int shim_pid_nr(const struct pid *pid, unsigned int level)
{
	return pid->numbers[level].nr;
}

struct pid_namespace *shim_pid_ns(const struct pid *pid, unsigned int level)
{
	return pid->numbers[level].ns;
}

u64 shim_pid_ino(const struct pid *pid)
{
	return pid->ino;
}

unsigned int shim_pid_refs(const struct pid *pid)
{
	return refcount_read(&pid->count);
}

void shim_get_pid(struct pid *pid)
{
	get_pid(pid);
}

void shim_put_pid(struct pid *pid)
{
	put_pid(pid);
}

bool shim_pid_is_fresh(struct pid *pid)
{
	enum pid_type type;

	for (type = 0; type < PIDTYPE_MAX; type++)
		if (pid_has_task(pid, type))
			return false;
	return hlist_empty(&pid->inodes) && base_pid_is_fresh(pid) &&
	       !pid->lock.locked && !pid->wait_pidfd.lock.locked &&
	       list_empty(&pid->wait_pidfd.head);
}
