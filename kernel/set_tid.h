/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SET_TID_H
#define _KERNEL_SET_TID_H

#include <linux/pid_namespace.h>
#include <linux/types.h>

/* One PID for each level: level 0 and the MAX_PID_NS_LEVEL levels below it. */
#define SET_TID_MAX (MAX_PID_NS_LEVEL + 1)

/* Which rule refuses a request; by its rows in set_tid.rst. */
enum set_tid_reason {
	SET_TID_TOO_MANY,	/* 7 */
	SET_TID_OUT_OF_RANGE,	/* 8 */
	SET_TID_NO_INIT_YET,	/* 9 */
	SET_TID_NO_CAPABILITY,	/* 10 */
	SET_TID_IN_USE,		/* 11 */
	SET_TID_LOST_INIT,	/* 12 */
	SET_TID_NONE_FREE,	/* 13 */
	SET_TID_NO_MEMORY,	/* 14 */
};

bool set_tid_args_valid(u64 uptr, u64 size);
int set_tid_copy_from_user(pid_t *set_tid, u64 uptr, size_t size);
int set_tid_permit(struct pid_namespace *ns, const pid_t *set_tid,
		   size_t size);

#ifdef CONFIG_TRACEPOINTS
int set_tid_refused(struct pid_namespace *ns, pid_t nr,
		    enum set_tid_reason reason, int error);
#else
static inline int set_tid_refused(struct pid_namespace *ns, pid_t nr,
				  enum set_tid_reason reason, int error)
{
	return error;
}
#endif

#endif /* _KERNEL_SET_TID_H */
