// SPDX-License-Identifier: GPL-2.0
/*
 * Why a set_tid request was refused, for whoever listens: the errno tells
 * neither at which level nor who is in the way.
 */

#include <linux/errno.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#define CREATE_TRACE_POINTS
#include <trace/events/set_tid.h>

#include "set_tid.h"

/*
 * A PID lives on as the number of a process group or of a session when the
 * process that had it is gone: then any member will do.
 */
static struct task_struct *holding_task(struct pid *pid,
					struct set_tid_holder *holder)
{
	struct task_struct *task = pid_task(pid, PIDTYPE_PID);

	if (task) {
		/* No lock: it may exit meanwhile, and that is fine. */
		if (data_race(task->exit_state))
			holder->kind = SET_TID_HELD_BY_ZOMBIE;
		else if (pid_has_task(pid, PIDTYPE_TGID))
			holder->kind = SET_TID_HELD_BY_PROCESS;
		else
			holder->kind = SET_TID_HELD_BY_THREAD;
		holder->pid = pid_nr(pid);
		return task;
	}

	task = pid_task(pid, PIDTYPE_PGID);
	if (task) {
		holder->kind = SET_TID_HELD_BY_GROUP;
	} else {
		task = pid_task(pid, PIDTYPE_SID);
		if (!task)
			return NULL;
		holder->kind = SET_TID_HELD_BY_SESSION;
	}
	/* Nor here: a thread that execs takes the PID of its leader. */
	holder->pid = data_race(task_pid_nr(task));
	return task;
}

static void find_holder(struct pid_namespace *ns, pid_t nr,
			struct set_tid_holder *holder)
{
	struct task_struct *task;

	rcu_read_lock();
	task = holding_task(find_pid_ns(nr, ns), holder);
	if (task)
		get_task_comm(holder->comm, task);
	rcu_read_unlock();
}

/**
 * set_tid_refused - tell that a set_tid request is refused, and why
 * @ns: the namespace of the level that refuses it
 * @nr: the PID that was requested there, 0 if it was to be an automatic one
 * @error: what the caller is told, a negative errno
 *
 * Costs nothing worth counting while the trace event set_tid_refused is off.
 *
 * Context: Process context, of the task that made the request. The caller holds
 *	    a reference to @ns or to a namespace inside it, and no spinlock.
 * Return: @error.
 */
int set_tid_refused(struct pid_namespace *ns, pid_t nr, int error)
{
	struct set_tid_holder holder = {};

	if (!trace_set_tid_refused_enabled())
		return error;

	if (error == -EEXIST)
		find_holder(ns, nr, &holder);
	trace_set_tid_refused(ns, nr, error, &holder);
	return error;
}
