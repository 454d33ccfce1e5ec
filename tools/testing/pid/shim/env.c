// SPDX-License-Identifier: GPL-2.0
/*
 * What else the kernel code calls: warnings, capabilities, user memory, tasks.
 */

#include <linux/pid.h>

#include "shim/internal.h"

static unsigned long warnings;

unsigned long env_warnings(void)
{
	return READ_ONCE(warnings);
}

bool shim_warn(const char *file, int line, const char *what)
{
	__atomic_fetch_add(&warnings, 1, __ATOMIC_RELAXED);
	fprintf(stderr, "%s:%d: WARNING: %s\n", file, line, what);
	return true;
}

void refcount_warn_saturate(refcount_t *r, enum refcount_saturation_type type)
{
	refcount_set(r, REFCOUNT_SATURATED);
	shim_warn(__FILE__, __LINE__, "a reference too many, or too few");
}

bool ns_capable(struct user_namespace *ns, int cap)
{
	__atomic_fetch_add(&ns->asked, 1, __ATOMIC_RELAXED);
	switch (cap) {
	case CAP_SYS_ADMIN:
		return ns->caps & SHIM_CAP_SYS_ADMIN;
	case CAP_CHECKPOINT_RESTORE:
		return ns->caps & SHIM_CAP_CHECKPOINT_RESTORE;
	default:
		return false;
	}
}

struct user_namespace *shim_user_ns_create(unsigned int caps)
{
	struct user_namespace *ns = calloc(1, sizeof(*ns));

	shim_bug_on(!ns);
	ns->caps = caps;
	return ns;
}

void shim_user_ns_destroy(struct user_namespace *ns)
{
	free(ns);
}

void shim_user_ns_set_caps(struct user_namespace *ns, unsigned int caps)
{
	ns->caps = caps;
}

unsigned long shim_user_ns_asked(const struct user_namespace *ns)
{
	return READ_ONCE(ns->asked);
}

static const void *user_end;

void shim_set_user_end(const void *end)
{
	user_end = end;
}

unsigned long copy_from_user(void *to, const void __user *from,
			     unsigned long n)
{
	unsigned long room = n;

	might_sleep();
	if (user_end && from + n > user_end)
		room = from < user_end ? user_end - from : 0;
	if (room)
		memcpy(to, from, room);
	return n - room;
}

void init_waitqueue_head(wait_queue_head_t *wq)
{
	spin_lock_init(&wq->lock);
	INIT_LIST_HEAD(&wq->head);
}

int wake_up_process(struct task_struct *task)
{
	shim_bug_on(!task);
	__atomic_fetch_add(&task->woken, 1, __ATOMIC_RELAXED);
	return 1;
}
