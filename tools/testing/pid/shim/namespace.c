// SPDX-License-Identifier: GPL-2.0
/*
 * PID namespaces: the root and those below it, and what a test sees of them.
 */

#include <linux/idr.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>

#include "shim/internal.h"

static struct task_struct init_task;
static struct kmem_cache *pid_caches[SHIM_MAX_LEVEL + 1];
static long live_namespaces;

struct pid_namespace init_pid_ns = {
	.idr = IDR_INIT(init_pid_ns.idr),
	.pid_allocated = PIDNS_ADDING,
	.child_reaper = &init_task,
};

struct shim_ns {
	struct pid_namespace ns;
	struct task_struct reaper;
};

static void free_ns(struct rcu_head *head)
{
	struct pid_namespace *ns = container_of(head, struct pid_namespace, rcu);

	free(container_of(ns, struct shim_ns, ns));
	__atomic_fetch_sub(&live_namespaces, 1, __ATOMIC_RELAXED);
}

/* As the kernel's: the last reference also gives back the one to the parent. */
void put_pid_ns(struct pid_namespace *ns)
{
	while (base_ns_put(ns)) {
		struct pid_namespace *parent = ns->parent;

		idr_destroy(&ns->idr);
		call_rcu(&ns->rcu, free_ns);
		ns = parent;
	}
}

void namespaces_init(void)
{
	unsigned int level;

	for (level = 0; level <= SHIM_MAX_LEVEL; level++)
		pid_caches[level] =
			kmem_cache_create("pid", sizeof(struct pid) +
					  (level + 1) * sizeof(struct upid),
					  0, 0, NULL);
	init_pid_ns.pid_cachep = pid_caches[0];
	base_ns_init(&init_pid_ns);
}

long namespaces_live(void)
{
	return READ_ONCE(live_namespaces);
}

long namespaces_live_pids(void)
{
	unsigned int level;
	long live = 0;

	for (level = 0; level <= SHIM_MAX_LEVEL; level++)
		live += slab_live(pid_caches[level]);
	return live;
}

#ifndef SHIM_BASE

static void reset_pid_min(struct pid_namespace *ns)
{
	ns->pid_min = 1;
}

int shim_ns_pid_min(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_min);
}

#else

/* The base has none. */
static void reset_pid_min(struct pid_namespace *ns)
{
}

#endif

struct pid_namespace *shim_root(void)
{
	return &init_pid_ns;
}

void shim_root_reset(struct user_namespace *owner)
{
	idr_destroy(&init_pid_ns.idr);
	idr_init(&init_pid_ns.idr);
	init_pid_ns.pid_allocated = PIDNS_ADDING;
	init_pid_ns.child_reaper = &init_task;
	init_pid_ns.user_ns = owner;
	init_task.woken = 0;
	reset_pid_min(&init_pid_ns);
	shim_ns_set_pid_max(&init_pid_ns, PID_MAX_DEFAULT);
}

struct pid_namespace *shim_ns_create(struct pid_namespace *parent,
				     struct user_namespace *owner)
{
	struct shim_ns *new;
	struct pid_namespace *ns;

	if (parent->level == MAX_PID_NS_LEVEL)
		return NULL;
	new = aligned_alloc(__alignof__(*new), sizeof(*new));
	shim_bug_on(!new);
	memset(new, 0, sizeof(*new));
	__atomic_fetch_add(&live_namespaces, 1, __ATOMIC_RELAXED);

	ns = &new->ns;
	idr_init(&ns->idr);
	ns->level = parent->level + 1;
	ns->pid_cachep = pid_caches[ns->level];
	ns->parent = get_pid_ns(parent);
	ns->user_ns = owner;
	ns->pid_allocated = PIDNS_ADDING;
	reset_pid_min(ns);
	base_ns_init(ns);
	return ns;
}

void shim_ns_put(struct pid_namespace *ns)
{
	put_pid_ns(ns);
}

void shim_ns_set_owner(struct pid_namespace *ns, struct user_namespace *owner)
{
	ns->user_ns = owner;
}

static struct task_struct *ns_reaper(const struct pid_namespace *ns)
{
	struct shim_ns *owner = container_of(ns, struct shim_ns, ns);

	return ns == &init_pid_ns ? &init_task : &owner->reaper;
}

void shim_ns_set_reaper(struct pid_namespace *ns, bool there)
{
	WRITE_ONCE(ns->child_reaper, there ? ns_reaper(ns) : NULL);
}

unsigned long shim_ns_woken(const struct pid_namespace *ns)
{
	return READ_ONCE(ns_reaper(ns)->woken);
}

unsigned int shim_ns_allocated(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_allocated);
}

unsigned int shim_ns_cursor(const struct pid_namespace *ns)
{
	return idr_get_cursor(&ns->idr);
}

void shim_ns_set_cursor(struct pid_namespace *ns, unsigned int cursor)
{
	idr_set_cursor((struct idr *)&ns->idr, cursor);
}

struct walk {
	int *nrs;
	size_t room;
	size_t used;
	size_t nodes;
};

static void walk_node(struct walk *walk, const struct radix_tree_node *node,
		      unsigned long base)
{
	unsigned int i;

	walk->nodes++;
	for (i = 0; i < RADIX_TREE_MAP_SIZE; i++) {
		void *entry = (void *)node->slots[i];
		unsigned long nr = base + ((unsigned long)i << node->shift);

		if (node->shift) {
			if (radix_tree_is_internal_node(entry))
				walk_node(walk,
					  entry - RADIX_TREE_INTERNAL_NODE, nr);
		} else if (!test_bit(i, node->tags[IDR_FREE])) {
			if (walk->used < walk->room)
				walk->nrs[walk->used] = nr;
			walk->used++;
		}
	}
}

static struct walk walk_ns(const struct pid_namespace *ns, int *nrs,
			   size_t room)
{
	void *entry = (void *)ns->idr.idr_rt.xa_head;
	struct walk walk = { .nrs = nrs, .room = room };

	/* An entry right at the head would be number 0. */
	shim_bug_on(entry && !radix_tree_is_internal_node(entry));
	if (entry)
		walk_node(&walk, entry - RADIX_TREE_INTERNAL_NODE, 0);
	return walk;
}

size_t shim_ns_used(const struct pid_namespace *ns, int *nrs, size_t room)
{
	return walk_ns(ns, nrs, room).used;
}

size_t shim_ns_nodes(const struct pid_namespace *ns)
{
	return walk_ns(ns, NULL, 0).nodes;
}
