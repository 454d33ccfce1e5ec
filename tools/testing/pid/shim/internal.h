/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the shim share.
 */
#ifndef SHIM_INTERNAL_H
#define SHIM_INTERNAL_H

#include "shim/shim.h"

struct kmem_cache;

/* locks.c */
unsigned long locks_taken(void);

/* rcu.c */
void rcu_add_reader(void);
void rcu_remove_reader(void);
long rcu_pending(void);

/* slab.c */
long slab_live(const struct kmem_cache *cache);
unsigned long slab_tried(enum shim_alloc kind);

/* env.c */
unsigned long env_warnings(void);

/* base.c */
void base_ns_init(struct pid_namespace *ns);
/* Gives a reference back: was it the last one? The root's never is. */
bool base_ns_put(struct pid_namespace *ns);
bool base_pid_is_fresh(const struct pid *pid);
/* Checks that nothing but its owner knows an object that is freed now. */
void base_check_free(const void *object);
long base_pidfs_live(void);

/* namespace.c */
void namespaces_init(void);
long namespaces_live(void);
long namespaces_live_pids(void);

#endif /* SHIM_INTERNAL_H */
