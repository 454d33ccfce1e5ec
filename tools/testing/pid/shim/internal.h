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

/* namespace.c */
void namespaces_init(void);
long namespaces_live(void);
long namespaces_live_pids(void);

#endif /* SHIM_INTERNAL_H */
