// SPDX-License-Identifier: GPL-2.0
/*
 * PID allocation: one number at every level, all or nothing.
 *
 * A process has a PID in its own PID namespace and in each namespace around
 * it, so a struct pid carries one number for each level. alloc_pid() gets them
 * in four steps:
 *
 *   validate the PIDs that the caller chose, if any (kernel/set_tid.c)
 *   prepare  everything that may sleep or needs no lock
 *   claim    a number at each level, from the innermost outwards
 *   publish  the struct pid under the claimed numbers
 *
 * Claim and publish happen under one hold of pidmap_lock. A claim that fails is
 * rolled back before the lock is dropped, so no other claim ever sees a part of
 * it. Lookups take no lock. A claimed number has a NULL in the IDR, which is
 * "not there" for them, until all levels are claimed: the struct pid that a
 * lookup finds has its number at every level, and rollback never frees one that
 * was found.
 *
 * A claim moves the automatic sequence of a namespace (its IDR cursor) only
 * when it is published, so rollback leaves the cursor alone. set_last_pid() and
 * free_pid() of a first process move it, too, under the same lock.
 */

#include <linux/err.h>
#include <linux/idr.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/pidfs.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "set_tid.h"

/*
 * Protects the IDR and pid_allocated of every PID namespace. Lookups take RCU
 * instead. Never taken under tasklist_lock, nor by interrupt handlers.
 */
static __cacheline_aligned_in_smp DEFINE_SPINLOCK(pidmap_lock);

/*
 * The slots that the claim under way has got, one for each level. Protected by
 * pidmap_lock, and empty outside of a hold: kmemleak would follow what is left.
 */
static void __rcu **claimed[MAX_PID_NS_LEVEL + 1];

/*
 * The levels of a struct pid, counted as set_tid counts them: 0 is the
 * innermost, pid->level the initial namespace.
 */
static struct upid *upid_outwards(struct pid *pid, unsigned int i)
{
	return &pid->numbers[pid->level - i];
}

/*
 * Once disable_pid_allocation() has cleared PIDNS_ADDING the count in
 * pid_allocated only falls: claim_level() checks every level, not only the
 * innermost, under the lock that it was cleared under. release_level() relies on
 * that. If the count rose again after the init has been reaped, the next process
 * that leaves would wake a child_reaper that has been freed.
 *
 * pid_may_attach() and zap_pid_ns_processes() read pid_allocated without
 * pidmap_lock.
 */
static bool ns_alive(const struct pid_namespace *ns)
{
	return READ_ONCE(ns->pid_allocated) & PIDNS_ADDING;
}

/*
 * As many numbers as the lowest pid_max leaves: with fewer a namespace could hardly
 * be used.
 */
#define PID_MIN_ROOM 300

static bool pid_min_fits(u32 min, u32 last)
{
	return min + PID_MIN_ROOM - 1 <= last;
}

/*
 * The lowest automatic PID, if @last is the highest. pid_max may have been lowered
 * since pid_min was written: it does not apply until there are enough numbers again.
 */
static u32 lowest_pid(const struct pid_namespace *ns, u32 last)
{
	return pid_min_fits(ns->pid_min, last) ? ns->pid_min : 1;
}

/*
 * Searches again after a wrap, if the sequence was at @cursor and had no number left
 * up to @last. @cursor is 0 if there is nothing to search but PID 1. Returns what
 * idr_reserve_u32() does.
 */
static noinline void __rcu **claim_after_wrap(struct upid *upid, u32 cursor,
					      u32 last)
{
	/* The low numbers are for those that start with the namespace. */
	const u32 first = max(lowest_pid(upid->ns, last),
			      cursor > RESERVED_PIDS ? RESERVED_PIDS : 1);

	if (cursor <= first)
		return ERR_PTR(-ENOSPC);
	upid->nr = first;
	return idr_reserve_u32(&upid->ns->idr, (u32 *)&upid->nr, last,
			       GFP_NOWAIT);
}

/*
 * Until a namespace has an init, its only PID is 1. A process with another PID
 * has no reaper for its children, and its exit would oops. The check belongs to
 * the claim: where the task is attached it would be a late failure that has used
 * up a PID at every level, and until then that PID would keep free_pid() from
 * resetting the namespace if its first process fails. A task whose PID is claimed
 * after the init was attached is itself attached later.
 *
 * If there is no init, a requested PID is 1 here, see set_tid_permit(): a
 * namespace that has had an init never goes back to having none.
 *
 * A namespace whose init is gone gives -ESRCH here, so that it is not tried again
 * like -ENOMEM. A PID that is in use is reported even there.
 *
 * Returns the slot of upid->nr in the IDR, or an ERR_PTR().
 */
static void __rcu **claim_level(struct upid *upid, pid_t requested)
{
	struct pid_namespace *ns = upid->ns;
	u32 last, cursor = 0;
	void __rcu **slot;
	int none_free;

	if (unlikely(!ns_alive(ns)))
		return requested && idr_find(&ns->idr, requested) ?
			ERR_PTR(-EEXIST) : ERR_PTR(-ESRCH);

	if (requested) {
		upid->nr = requested;
		last = requested;
		none_free = -EEXIST;
	} else if (unlikely(!READ_ONCE(ns->child_reaper))) {
		upid->nr = 1;
		last = 1;
		none_free = -EINVAL;
	} else {
		last = READ_ONCE(ns->pid_max) - 1;
		cursor = idr_get_cursor(&ns->idr);
		upid->nr = cursor;
		if (unlikely(cursor < ns->pid_min))
			upid->nr = max(cursor, lowest_pid(ns, last));
		none_free = -EAGAIN;
	}

	slot = idr_reserve_u32(&ns->idr, (u32 *)&upid->nr, last, GFP_NOWAIT);
	if (slot == ERR_PTR(-ENOSPC) && !requested)
		slot = claim_after_wrap(upid, cursor, last);
	return slot == ERR_PTR(-ENOSPC) ? ERR_PTR(none_free) : slot;
}

/* After an error, and only then, *refused is the level that failed. */
static int claim_levels(struct pid *pid, const pid_t *set_tid, size_t size,
			unsigned int *refused)
{
	void __rcu **slot;
	unsigned int i;

	lockdep_assert_held(&pidmap_lock);

	for (i = 0; i <= pid->level; i++) {
		slot = claim_level(upid_outwards(pid, i),
				   i < size ? set_tid[i] : 0);
		if (IS_ERR(slot))
			goto rollback;
		claimed[i] = slot;
	}

	return 0;

rollback:
	*refused = i;
	while (i--) {
		struct upid *upid = upid_outwards(pid, i);

		idr_remove(&upid->ns->idr, upid->nr);
		claimed[i] = NULL;
	}
	return PTR_ERR(slot);
}

/* From here on lookups find @pid; only automatic levels move their cursor. */
static void publish_levels(struct pid *pid, size_t requested)
{
	unsigned int i;

	lockdep_assert_held(&pidmap_lock);

	for (i = 0; i <= pid->level; i++) {
		struct upid *upid = upid_outwards(pid, i);
		struct pid_namespace *ns = upid->ns;

		rcu_assign_pointer(*claimed[i], pid);
		claimed[i] = NULL;
		WRITE_ONCE(ns->pid_allocated, ns->pid_allocated + 1);
		if (i >= requested)
			idr_set_cursor(&ns->idr, upid->nr + 1);
	}
}

/*
 * The IDRs need memory under the lock and must not sleep for it. If the slab has
 * none at once, they take nodes that were preloaded. A preload that got its nodes
 * is enough for at least one level; more are needed only if memory is short, and
 * then the claim is tried again with twice as many, in the end with enough for all
 * levels. So the claim fails for lack of memory only where a sleeping allocation
 * fails too.
 */
static int claim_and_publish(struct pid *pid, const pid_t *set_tid, size_t size,
			     unsigned int *refused)
{
	const unsigned int levels = pid->level + 1;
	unsigned int preload = 1;
	int err;

	idr_preload(GFP_KERNEL);
	for (;;) {
		spin_lock(&pidmap_lock);
		err = claim_levels(pid, set_tid, size, refused);
		if (!err)
			publish_levels(pid, size);
		spin_unlock(&pidmap_lock);

		if (preload == 1)
			idr_preload_end();
		else
			idr_preload_end_many();
		if (err != -ENOMEM || preload == levels)
			return err;

		preload = min(2 * preload, levels);
		if (idr_preload_many(GFP_KERNEL, preload))
			return err;
	}
}

static void init_pid(struct pid *pid, struct pid_namespace *ns)
{
	enum pid_type type;

	refcount_set(&pid->count, 1);
	pid->level = ns->level;
	spin_lock_init(&pid->lock);
	pidfs_prepare_pid(pid);
	for (type = 0; type < PIDTYPE_MAX; type++)
		INIT_HLIST_HEAD(&pid->tasks[type]);
	INIT_HLIST_HEAD(&pid->inodes);
	init_waitqueue_head(&pid->wait_pidfd);

	for (; ns; ns = ns->parent)
		pid->numbers[ns->level].ns = ns;
}

/*
 * Finds a PID in use with one lookup, before a struct pid is allocated and
 * pidmap_lock is taken. The claim looks again. For a single PID, mostly that of a
 * process with few levels, the lookup does not pay.
 */
static bool pid_taken(struct pid_namespace *ns, pid_t nr)
{
	bool taken;

	rcu_read_lock();
	taken = idr_find(&ns->idr, nr);
	rcu_read_unlock();
	return taken;
}

/* What an error of claim_and_publish() means. */
static enum set_tid_reason reason_of(int err)
{
	switch (err) {
	case -EEXIST:
		return SET_TID_IN_USE;
	case -EINVAL:
		return SET_TID_NO_INIT_YET;
	case -EAGAIN:
		return SET_TID_NONE_FREE;
	case -ESRCH:
		return SET_TID_LOST_INIT;
	default:
		return SET_TID_NO_MEMORY;
	}
}

/*
 * Reports the refusal of a claim and frees @pid, which was never published:
 * nobody else has a reference. Returns the error that the caller gets.
 */
static int claim_refused(struct pid *pid, const pid_t *set_tid, size_t size,
			 unsigned int refused, int err)
{
	const enum set_tid_reason reason = reason_of(err);

	if (err == -ESRCH)
		err = -ENOMEM;
	if (size)
		set_tid_refused(upid_outwards(pid, refused)->ns,
				refused < size ? set_tid[refused] : 0,
				reason, err);

	kmem_cache_free(ns_of_pid(pid)->pid_cachep, pid);
	return err;
}

/**
 * alloc_pid - allocate a PID at every level
 * @ns: the namespace that the process is created in (the target)
 * @set_tid: PIDs that the caller chose, innermost first
 * @set_tid_size: number of PIDs in @set_tid, 0 for none
 *
 * The levels that @set_tid does not reach get the next free PID. After an error
 * no level has changed: no PID is held, none was skipped, and the same call can
 * be made again. There is one exception: if pidfs has no memory for the new
 * struct pid, automatic PIDs have been used up, as by a fork() that fails later.
 * Asking pidfs first would make every refusal of a claim pay for it.
 *
 * The struct pid can be looked up on return, but has no task yet: attach one
 * with attach_pid(), or give it back with free_pid().
 *
 * Context: Process context, the request is validated by the credentials of
 *	    current. The caller holds a reference to @ns. May sleep. Takes and
 *	    releases pidmap_lock.
 * Return: the struct pid with one reference, or an ERR_PTR(): the errors of
 *	   set_tid_permit() for a bad request; %-EEXIST if a requested PID is in
 *	   use; %-EINVAL for an automatic PID in a namespace whose init is still
 *	   being created; %-EAGAIN if a level has no free PID left; %-ENOMEM if
 *	   there is no memory, or if a namespace at any level has lost its init
 *	   (which is what pid_namespaces(7) documents).
 */
struct pid *alloc_pid(struct pid_namespace *ns, const pid_t *set_tid,
		      size_t set_tid_size)
{
	unsigned int refused = 0;
	struct pid *pid;
	int err;

	if (set_tid_size) {
		err = set_tid_permit(ns, set_tid, set_tid_size);
		if (err)
			return ERR_PTR(err);
		if (set_tid_size > 1 && pid_taken(ns, set_tid[0]))
			return ERR_PTR(set_tid_refused(ns, set_tid[0],
						       SET_TID_IN_USE, -EEXIST));
	}

	pid = kmem_cache_alloc(ns->pid_cachep, GFP_KERNEL);
	if (!pid)
		goto no_memory;
	init_pid(pid, ns);

	err = claim_and_publish(pid, set_tid, set_tid_size, &refused);
	if (err)
		return ERR_PTR(claim_refused(pid, set_tid, set_tid_size,
					     refused, err));

	/* @pid has a reference of its own, and the caller one to @ns. */
	get_pid_ns(ns);
	ns_ref_active_get(ns);
	if (pidfs_add_pid(pid)) {
		/* It is published: lookups may have found it. */
		free_pid(pid);
		goto no_memory;
	}
	return pid;

no_memory:
	if (set_tid_size)
		set_tid_refused(ns, set_tid[0], SET_TID_NO_MEMORY, -ENOMEM);
	return ERR_PTR(-ENOMEM);
}

/**
 * pid_may_attach - is every namespace of a pid still taking processes?
 * @pid: a struct pid from alloc_pid() that has no task yet
 * @set_tid: the PIDs that it was allocated with, innermost first
 * @set_tid_size: number of PIDs in @set_tid, 0 for none
 *
 * The init of any of the namespaces may have started to exit since @pid was
 * allocated. It first stops new PIDs and then kills every task that it finds,
 * the latter under tasklist_lock: a task that is attached under the lock after
 * this check is found, one that comes later fails the check. Level 0 is not
 * looked at: its init cannot exit without a panic. If there was a request, its
 * refusal is reported.
 *
 * Context: tasklist_lock is held for writing, until the task is attached.
 * Return: %false if a namespace at any level has lost its init.
 */
bool pid_may_attach(const struct pid *pid, const pid_t *set_tid,
		    size_t set_tid_size)
{
	unsigned int level;

	for (level = pid->level; level > 0; level--)
		if (!ns_alive(pid->numbers[level].ns))
			break;
	if (!level)
		return true;

	if (set_tid_size) {
		const unsigned int i = pid->level - level;

		set_tid_refused(pid->numbers[level].ns,
				i < set_tid_size ? set_tid[i] : 0,
				SET_TID_LOST_INIT, -ENOMEM);
	}
	return false;
}

static void release_level(const struct upid *upid)
{
	struct pid_namespace *ns = upid->ns;
	const unsigned int left = ns->pid_allocated - 1;

	lockdep_assert_held(&pidmap_lock);

	idr_remove(&ns->idr, upid->nr);
	WRITE_ONCE(ns->pid_allocated, left);

	switch (left) {
	case 2:
	case 1:
		/*
		 * Perhaps only the init is left, or one thread of it and its
		 * exited leader: it waits for that in zap_pid_ns_processes().
		 */
		wake_up_process(READ_ONCE(ns->child_reaper));
		break;
	case PIDNS_ADDING:
		/*
		 * The first process failed after its PID was claimed. There was
		 * no other, see claim_level(): reset the namespace.
		 */
		WARN_ON_ONCE(READ_ONCE(ns->child_reaper));
		idr_set_cursor(&ns->idr, 0);
		break;
	}
}

static void put_pid_rcu(struct rcu_head *rcu)
{
	put_pid(container_of(rcu, struct pid, rcu));
}

/**
 * free_pid - give the PIDs of all levels back
 * @pid: a struct pid that no task uses
 *
 * On return each of the numbers is free again. The struct pid itself lives on
 * for lookups under RCU and for those who hold a reference.
 *
 * Context: Process context, without tasklist_lock. Takes and releases
 *	    pidmap_lock.
 */
void free_pid(struct pid *pid)
{
	unsigned int level;

	lockdep_assert_not_held(&tasklist_lock);

	ns_ref_active_put(ns_of_pid(pid));

	spin_lock(&pidmap_lock);
	for (level = 0; level <= pid->level; level++)
		release_level(&pid->numbers[level]);
	spin_unlock(&pidmap_lock);

	pidfs_remove_pid(pid);
	call_rcu(&pid->rcu, put_pid_rcu);
}

/**
 * free_pids - free_pid() for what a task has left behind
 * @pids: a struct pid, or %NULL, for each enum pid_type
 *
 * Context: As free_pid().
 */
void free_pids(struct pid **pids)
{
	int type;

	for (type = PIDTYPE_MAX; --type >= 0; )
		if (pids[type])
			free_pid(pids[type]);
}

/**
 * disable_pid_allocation - take no new processes into a namespace
 * @ns: a namespace whose init has started to exit
 *
 * Context: Process context. Takes and releases pidmap_lock.
 */
void disable_pid_allocation(struct pid_namespace *ns)
{
	spin_lock(&pidmap_lock);
	WRITE_ONCE(ns->pid_allocated, ns->pid_allocated & ~PIDNS_ADDING);
	spin_unlock(&pidmap_lock);
}

#ifdef CONFIG_CHECKPOINT_RESTORE
/**
 * set_last_pid - write kernel.ns_last_pid
 * @ns: the namespace
 * @nr: the number that its next automatic PID comes after
 *
 * A claim reads the automatic sequence at its start and moves it at its end: a
 * write without the lock would be lost in between.
 *
 * Context: Process context. Takes and releases pidmap_lock.
 */
void set_last_pid(struct pid_namespace *ns, int nr)
{
	spin_lock(&pidmap_lock);
	idr_set_cursor(&ns->idr, nr + 1);
	spin_unlock(&pidmap_lock);
}

/**
 * set_pid_min - write kernel.pid_min
 * @ns: the namespace
 * @min: its lowest automatic PID from now on, at least 1
 *
 * Keeps the PIDs below @min free for those who choose them. Requested PIDs and
 * the PID 1 of an init may be lower. A claim reads it under the lock: one that is
 * under way ends before this returns.
 *
 * Context: Process context. Takes and releases pidmap_lock.
 * Return: 0, or %-EINVAL if @min leaves too few numbers below pid_max.
 */
int set_pid_min(struct pid_namespace *ns, int min)
{
	int err = -EINVAL;

	spin_lock(&pidmap_lock);
	if (pid_min_fits(min, READ_ONCE(ns->pid_max) - 1)) {
		WRITE_ONCE(ns->pid_min, min);
		err = 0;
	}
	spin_unlock(&pidmap_lock);
	return err;
}
#endif
