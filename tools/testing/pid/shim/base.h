/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels, here for Linux 7.3. All of it is in base.mk,
 * base.h, base.c and tests/base_test.cpp, so that a backport replaces these
 * and nothing else.
 *
 * PID namespaces have the kernel's struct ns_common. pidfs is faked in base.c:
 * with checks, it has a table of PIDs; with SHIM_FAST, it costs a few
 * instructions.
 */
#ifndef SHIM_BASE_H
#define SHIM_BASE_H

/* pidmap_lock is never taken by interrupt handlers: they stay on. */
#define BASE_LOCK_IRQS_OFF	false

/* linux/cleanup.h, for linux/idr.h */
#define DEFINE_CLASS(...)

/* linux/slab.h, for the IDA */
#define kzalloc_obj(object, gfp)	kzalloc(sizeof(object), gfp)

/* linux/rhashtable-types.h */
struct rhash_head {
	struct rhash_head *next;
};

/* linux/minmax.h, linux/vfsdebug.h, uapi/linux/nsfs.h, for linux/ns_common.h */
#define in_range(val, start, len)	((val) - (start) < (len))
#define ____cacheline_aligned_in_smp	__attribute__((aligned(64)))
#ifndef SHIM_FAST
#define VFS_WARN_ON_ONCE(cond)		((void)WARN_ON_ONCE(cond))
#else
#define VFS_WARN_ON_ONCE(cond)		((void)0)
#endif
/* Only there with __KERNEL__, which the system's headers should not see. */
#define NS_LAST_INIT_ID			MNT_NS_INIT_ID

/* linux/workqueue.h */
struct work_struct { };

/* linux/pidfs.h */
void pidfs_prepare_pid(struct pid *pid);
int pidfs_add_pid(struct pid *pid);
void pidfs_remove_pid(struct pid *pid);
void pidfs_free_pid(struct pid *pid);

#endif /* SHIM_BASE_H */
