/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _KERNEL_SET_TID_H
#define _KERNEL_SET_TID_H

#include <linux/pid_namespace.h>
#include <linux/types.h>

/* One PID for each level: level 0 and the MAX_PID_NS_LEVEL levels below it. */
#define SET_TID_MAX (MAX_PID_NS_LEVEL + 1)

bool set_tid_args_valid(u64 uptr, u64 size);
int set_tid_copy_from_user(pid_t *set_tid, u64 uptr, size_t size);
int set_tid_permit(struct pid_namespace *ns, const pid_t *set_tid,
		   size_t size);
int set_tid_refused(struct pid_namespace *ns, pid_t nr, int error);

#endif /* _KERNEL_SET_TID_H */
